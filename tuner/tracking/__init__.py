"""Who else hears of a search: the terminal, MongoDB and the other sinks, Prometheus, Grafana, optuna-dashboard.

Imported by all rooms above. A new sink is one file in `sinks`; it is told `events` and never slows the
search, since `outbox` stands between.
"""
