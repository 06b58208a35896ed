"""One file per rule, found by folder: no list to edit. A rule reads what was found out about one file, and says findings."""
