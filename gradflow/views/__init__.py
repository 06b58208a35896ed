"""Report in, drawing out: pure functions that choose what to show. No colours, no fonts, no files, no torch."""
