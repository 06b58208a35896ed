"""The only package that imports torch: load a target, run a step, record how values flow, put everything back."""
