"""Report in, text out: each module has `render(report) -> str`."""
