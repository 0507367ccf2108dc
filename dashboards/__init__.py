"""What people and machines see of trueup's state: metrics, health, Grafana's dashboards, alerts.

`catalogue` is the one list of metrics; `snapshot` the plain state that the front door fills at each scrape; `meter`
what is counted while the process lives; `exporter` and `http` show both. `build` generates the dashboards.
"""
