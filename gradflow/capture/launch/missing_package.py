"""Says which package a program wants and has not, and under which name pip knows it, where that is sure. Reads only the error."""

from __future__ import annotations

PIP_NAMES: dict[str, str] = {
    "cv2": "opencv-python", "PIL": "pillow", "sklearn": "scikit-learn", "skimage": "scikit-image", "yaml": "pyyaml",
    "bs4": "beautifulsoup4", "Levenshtein": "levenshtein", "attr": "attrs", "dateutil": "python-dateutil", "dotenv": "python-dotenv",
    "git": "gitpython", "serial": "pyserial", "soundfile": "soundfile", "sentencepiece": "sentencepiece", "tensorboardX": "tensorboardX",
    "torchvision": "torchvision", "torchaudio": "torchaudio", "torchtext": "torchtext", "timm": "timm", "einops": "einops",
    "transformers": "transformers", "diffusers": "diffusers", "accelerate": "accelerate", "numpy": "numpy", "scipy": "scipy",
    "pandas": "pandas", "matplotlib": "matplotlib", "seaborn": "seaborn", "tqdm": "tqdm", "librosa": "librosa", "h5py": "h5py",
    "torch_geometric": "torch_geometric", "pytorch_lightning": "pytorch-lightning", "lightning": "lightning", "wandb": "wandb",
    "omegaconf": "omegaconf", "hydra": "hydra-core", "gym": "gym", "gymnasium": "gymnasium", "tiktoken": "tiktoken",
    "networkx": "networkx", "sympy": "sympy", "requests": "requests", "xformers": "xformers", "flash_attn": "flash-attn",
    "mamba_ssm": "mamba-ssm", "bitsandbytes": "bitsandbytes", "peft": "peft", "datasets": "datasets", "tokenizers": "tokenizers",
    "jieba": "jieba", "nltk": "nltk", "spacy": "spacy", "gensim": "gensim", "dgl": "dgl", "ogb": "ogb", "fairscale": "fairscale",
    "fvcore": "fvcore", "iopath": "iopath", "ml_collections": "ml-collections", "absl": "absl-py", "kornia": "kornia",
    "albumentations": "albumentations", "imageio": "imageio", "ftfy": "ftfy", "regex": "regex", "easydict": "easydict",
    "tensorboard": "tensorboard", "pycocotools": "pycocotools", "rdkit": "rdkit", "lpips": "lpips", "pytorch_msssim": "pytorch-msssim",
}  # fmt: skip
"""The name that pip takes, by the name that is imported: only those that are known to be the same project."""


def missing_package(error: BaseException) -> str:
    """The sentence about the package that is missing, empty where the error is none of a missing package.

    >>> missing_package(ModuleNotFoundError("No module named 'cv2'", name="cv2"))
    'it imports `cv2`, which is not installed: pip install opencv-python'
    """
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    top, dot, _ = error.name.partition(".")
    wanted = f"it imports `{error.name}`, which is not installed"
    if dot and top not in PIP_NAMES:
        return wanted
    return f"{wanted}: pip install {PIP_NAMES[top]}" if top in PIP_NAMES else wanted
