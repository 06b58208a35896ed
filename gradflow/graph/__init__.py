"""The flow graph and the facts of a run: frozen, torch-free, no IO."""
