"""Who else hears of a search: MongoDB and the other sinks, Prometheus, Grafana, optuna-dashboard.

`dataset` and every room above it may import this room. What happens is an event of `events`; `outbox` stands between a
search and a sink, so that a slow server never slows the search. A new sink is one file in `sinks`, a new metric for
dashboards goes into `prometheus`.
"""
