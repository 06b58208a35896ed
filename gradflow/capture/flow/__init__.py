"""How values flow: the recording mode, its tables, and the patches for what the mode cannot see."""
