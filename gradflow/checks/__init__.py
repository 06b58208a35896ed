"""One file per check; found by folder, no list to edit."""
