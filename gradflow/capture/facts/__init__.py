"""From what was seen to plain facts: names, lines of source, the flow graph, one fact for each parameter."""
