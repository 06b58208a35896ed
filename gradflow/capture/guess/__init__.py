"""Builds a model that a file only defines, and finds inputs that it takes. Nothing here judges: it makes what `capture.model` then audits.

The way: `ranking` says which class is the file's main one, `construction` proposes ways to build it, `inputs` proposes what to call it
with, and `search` tries them, mending from each error (`repair`). Every guess is text that can be pasted back as `--init` and `--input`.
"""
