"""Pages of codes that only `gradflow lint` says: a run does not show them. The rules stand in `gradflow.static.rules`."""
