"""Reads source text, and says where gradients stop. Only `ast` of the standard library: nothing here executes or imports what it reads."""
