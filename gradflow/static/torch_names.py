"""What torch's names do to a gradient, as far as the source can tell. Tables only; names that stand in none pass everything through."""

from __future__ import annotations

from gradflow.graph.flow import CutReason


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LAYERS = _words(
    """Linear LazyLinear Bilinear Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d LazyConv1d LazyConv2d LazyConv3d
    LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d BatchNorm1d BatchNorm2d BatchNorm3d LazyBatchNorm1d LazyBatchNorm2d
    LazyBatchNorm3d SyncBatchNorm GroupNorm LayerNorm RMSNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d Embedding EmbeddingBag RNN
    LSTM GRU RNNCell LSTMCell GRUCell MultiheadAttention Transformer TransformerEncoder TransformerDecoder TransformerEncoderLayer
    TransformerDecoderLayer PReLU AdaptiveLogSoftmaxWithLoss"""
)
"""Layers of `torch.nn` that hold parameters."""

SWITCHED_OFF = {
    "affine": ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm", "GroupNorm"),
    "elementwise_affine": ("LayerNorm", "RMSNorm"),
}
"""By keyword: layers that hold no parameters where it is False."""

NEEDS_AFFINE = frozenset({"InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"})
"""Layers that hold parameters only with `affine=True`."""

MODULE_CONTAINERS = frozenset({"ModuleList", "ModuleDict", "ParameterList", "ParameterDict"})

MAY_RETURN_ITS_INPUT = frozenset(["Identity", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"])

NO_DERIVATIVE = _words(
    """argmax argmin argsort eq ne lt le gt ge greater less greater_equal less_equal not_equal logical_and logical_or logical_not
    logical_xor isnan isinf isfinite isclose nonzero argwhere count_nonzero bincount histc searchsorted bucketize multinomial unique
    unique_consecutive equal allclose"""
)
"""Functions and methods of tensors whose result carries no gradient."""

VALUE_AND_INDEX = frozenset(["topk", "sort", "kthvalue", "mode", "cummax", "cummin"])
"""Return (values, indices); the indices carry no gradient."""

VALUE_AND_INDEX_WITH_DIM = frozenset(["max", "min", "median", "nanmedian"])
"""The same, where `dim` is given."""

TO_INTEGER = frozenset(["long", "int", "bool", "byte", "short", "char"])
INTEGER_TYPES = _words("""long int bool uint8 int8 int16 int32 int64 short LongTensor IntTensor BoolTensor ByteTensor""")

WITHOUT_VALUES = _words(
    """size dim numel nelement ndimension element_size stride get_device is_floating_point is_complex is_contiguous storage_offset
    type_as_name zeros_like ones_like empty_like full_like rand_like randn_like randint_like new_zeros new_ones new_empty new_full
    data_ptr untyped_storage register_hook is_tensor is_nonzero retain_grad named_parameters_count"""
)
"""Methods and functions whose result does not depend on the values of their tensor."""

WITHOUT_VALUES_ATTRIBUTES = _words(
    """shape device dtype ndim requires_grad is_cuda layout grad grad_fn is_leaf names itemsize nbytes training in_features
    out_features in_channels out_channels kernel_size padding dilation groups embedding_dim num_embeddings padding_idx normalized_shape
    eps num_layers input_size hidden_size config is_sparse is_quantized bidirectional num_features num_heads head_dim batch_first"""
)

MAY_RETURN_ITSELF = _words(
    """to cpu cuda float double half bfloat16 type type_as contiguous requires_grad_ clone_if_needed expand_as_needed to_dense numpy_if
    get pop items values keys copy setdefault popitem popleft coalesce index count split_batches resolve_conj resolve_neg pin_memory
    share_memory_ xpu mps"""
)
"""Methods that may hand out what they were given, so that what was live before a region may be live after it."""

PASSES_THROUGH = _words(
    """list tuple dict set frozenset zip enumerate reversed sorted map filter iter next getattr vars copy deepcopy namedtuple chain
    repeat islice defaultdict OrderedDict partial cast deque Counter min max sum"""
)
"""Built-in functions that hand out what they were given, without an operation of torch."""

COMPUTING_MODULES = ("torch.", "einops.", "opt_einsum.", "xformers.", "flash_attn.", "numpy.")
"""Functions of these compute: their result is a new value."""

HARMLESS_CALLS = _words(
    """print isinstance len hasattr repr str format id type callable issubclass range warn warning info debug error log_dict log
    critical exception assert_ warning_once warn_once append_metric log_metrics"""
)
"""Calls whose arguments do not count as having escaped to somewhere."""

FROZEN_NAMES = ("ema", "target", "teacher", "momentum", "frozen", "fixed", "pretrained", "ref", "reference", "key")
"""Words in an attribute's name that say that it is not to be trained here."""

INFERENCE_METHODS = (
    "generate", "predict", "sample", "infer", "inference", "evaluate", "eval", "decode", "test_step", "validation_step", "predict_step",
    "validate", "test", "export", "visualize", "plot", "reset_parameters", "init_weights", "_init_weights", "extra_repr", "translate",
    "beam_search", "greedy_decode", "search",
)  # fmt: skip

GRAD_OFF = {
    "no_grad": CutReason.NO_GRAD,
    "inference_mode": CutReason.INFERENCE_MODE,
    "set_grad_enabled": CutReason.NO_GRAD,
}
