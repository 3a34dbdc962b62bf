//! Processes, hosts, storage, the API, and the pipeline itself.

use obs_verify::dashboard::{Dashboard, Scope, bars, heatmap, lines, row, stat, table};

#[expect(
    clippy::too_many_lines,
    reason = "a dashboard reads best as it is drawn, from top to bottom"
)]
pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        name: "system-health".to_owned(),
        title: "System health".to_owned(),
        description: "Whether processes, hosts, storage and the metrics themselves are well.".to_owned(),
        scope: Scope::default(),
        rows: vec![
            row("Are we all right?", [
                stat("Up", "The share of the last day that processes answered scrapes.")
                    .ask("min(service:up:avg_over_time1d{@})", "")
                    .below(0.999, 0.99)
                    .act("DeskDown, DeskCrashLooping, ProcessRestarting"),
                stat("Memory of the host", "What is available on the host that has the least.")
                    .ask("min(system_memory_available_bytes{@} / system_memory_total_bytes{@})", "")
                    .below(0.2, 0.1)
                    .act("HostMemoryLow, ProcessMemoryHigh"),
                stat("Fullest disk", "What is free on it.")
                    .ask("min(system_disk_available_bytes{@} / system_disk_total_bytes{@})", "")
                    .below(0.2, 0.05)
                    .act("DiskAlmostFull, DiskFillingUp"),
                stat("CPU", "How busy the busiest host is.")
                    .ask("max(system_cpu_usage_ratio{@})", "")
                    .above(0.8, 0.95)
                    .act("HostCpuSaturated"),
                stat("File descriptors", "The share in use, where it is highest.")
                    .ask("max(process_open_fds{@} / process_max_fds{@})", "")
                    .above(0.5, 0.8)
                    .act("FileDescriptorsNearLimit"),
                stat("Fullest pool", "The share of database connections in use, where it is highest.")
                    .ask("max(pool:db_pool_connections_in_use:ratio{@})", "")
                    .above(0.7, 0.9)
                    .act("DatabasePoolNearExhaustion, DatabasePoolExhausted"),
                stat("Folded series", "Lookups within the time shown that were folded into `other` because a budget was used up.")
                    .ask("sum(increase(obs_series_overflow_total{@}[$__range]))", "")
                    .above(1.0, 1000.0)
                    .act("SeriesOverflow"),
                stat("Refused samples", "Samples within the time shown that were no numbers, or out of range.")
                    .ask("sum(increase(obs_samples_rejected_total{@}[$__range]))", "")
                    .above(1.0, 1000.0)
                    .act("SamplesRejected"),
            ]),
            row("Processes", [
                lines("Memory", "Resident and virtual memory.")
                    .ask("sum by (instance) (process_resident_memory_bytes{@})", "{{instance}} resident")
                    .ask("sum by (instance) (process_virtual_memory_bytes{@})", "{{instance}} virtual"),
                lines("CPU by process", "Processors' worth of time.")
                    .ask("sum by (instance) (rate(process_cpu_seconds_total{@}[$__rate_interval]))", "{{instance}}"),
                lines("Threads and descriptors", "A rise without end is a leak.")
                    .ask("sum by (instance) (process_threads{@})", "{{instance}} threads")
                    .ask("sum by (instance) (process_open_fds{@})", "{{instance}} descriptors"),
                lines("Since the start", "A line that falls to 0 is a restart.")
                    .ask("time() - max by (instance) (process_start_time_seconds{@})", "{{instance}}"),
            ]),
            row("Hosts", [
                lines("CPU of hosts", "The share of all processors in use.")
                    .ask("max by (instance) (system_cpu_usage_ratio{@})", "{{instance}}")
                    .above(0.8, 0.95)
                    .act("HostCpuSaturated"),
                lines("Memory available", "What programs can still take.")
                    .ask("min by (instance) (system_memory_available_bytes{@})", "{{instance}}"),
                bars("Disks", "The share that is free.")
                    .ask("min by (instance, mountpoint) (system_disk_available_bytes{@} / system_disk_total_bytes{@})", "{{instance}} {{mountpoint}}")
                    .below(0.2, 0.05)
                    .act("DiskAlmostFull, DiskFillingUp"),
            ]),
            row("Async runtime", [
                lines("Workers busy", "The share of time that workers run tasks; the number of workers is the most it can be.")
                    .ask("sum by (instance) (rate(tokio_busy_seconds_total{@}[$__rate_interval]))", "{{instance}} busy")
                    .ask("sum by (instance) (tokio_workers{@})", "{{instance}} workers"),
                lines("Tasks", "Tasks alive. A rise without end is a leak.")
                    .ask("sum by (instance) (tokio_alive_tasks{@})", "{{instance}}"),
                lines("Tasks waiting", "Tasks in the global queue. Anything above a moment's work means that workers are blocked.")
                    .ask("sum by (instance) (tokio_global_queue_depth{@})", "{{instance}}")
                    .above(100.0, 1000.0)
                    .act("RuntimeBacklog"),
            ]),
            row("API", [
                lines("Requests", "Requests a second, by endpoint.")
                    .ask("topk(10, endpoint:http_requests:rate5m{@})", "{{endpoint}}"),
                lines("Response time", "19 of 20 requests end within this time; the ten slowest endpoints.")
                    .ask("topk(10, endpoint:http_request_duration_seconds:p95_5m{@})", "{{endpoint}}")
                    .above(0.25, 0.5)
                    .act("ApiLatencyHigh"),
                heatmap("Response times", "How response times spread.")
                    .ask("sum by (le) (increase(http_request_duration_seconds_bucket{@}[$__rate_interval]))", "{{le}}"),
                lines("Requests under way", "Requests whose response has not ended.")
                    .ask("sum by (service) (http_requests_in_flight{@})", "{{service}}"),
            ]),
            row("gRPC and streams", [
                lines("gRPC calls", "Calls a second, by status code.")
                    .ask("sum by (rpc_service, code) (rate(rpc_server_requests_total{@}[$__rate_interval]))", "{{rpc_service}} {{code}}")
                    .ask("sum by (rpc_service, code) (rate(rpc_client_requests_total{@}[$__rate_interval]))", "client: {{rpc_service}} {{code}}"),
                lines("gRPC time", "19 of 20 calls end within this time.")
                    .ask("histogram_quantile(0.95, sum by (rpc_service, le) (rate(rpc_server_request_duration_seconds_bucket{@}[$__rate_interval])))", "{{rpc_service}}")
                    .ask("histogram_quantile(0.95, sum by (rpc_service, le) (rate(rpc_client_request_duration_seconds_bucket{@}[$__rate_interval])))", "client: {{rpc_service}}"),
                lines("gRPC under way", "Calls that have not ended, and messages a second.")
                    .ask("sum by (rpc_service) (rpc_server_requests_in_flight{@})", "{{rpc_service}}")
                    .ask("sum by (rpc_service) (rpc_client_requests_in_flight{@})", "client: {{rpc_service}}")
                    .ask("sum by (rpc_service, direction) (rate(rpc_server_messages_total{@}[$__rate_interval]))", "{{rpc_service}} {{direction}}")
                    .ask("sum by (rpc_service, direction) (rate(rpc_client_messages_total{@}[$__rate_interval]))", "client: {{rpc_service}} {{direction}}"),
                lines("Streams", "WebSockets and event streams: open, and ended a second.")
                    .ask("sum by (endpoint, protocol) (http_streams_open{@})", "{{endpoint}} {{protocol}}")
                    .ask("sum by (protocol, reason) (rate(http_streams_closed_total{@}[$__rate_interval]))", "{{protocol}} {{reason}}"),
            ]),
            row("Payloads and functions", [
                lines("Bytes", "Bytes a second, in and out.")
                    .ask("sum by (service) (rate(http_request_size_bytes_sum{@}[$__rate_interval]))", "{{service}} in")
                    .ask("sum by (service) (rate(http_response_size_bytes_sum{@}[$__rate_interval]))", "{{service}} out"),
                lines("Status codes", "Responses a second, by status code.")
                    .ask("sum by (status_code) (rate(http_requests_total{@}[$__rate_interval]))", "{{status_code}}"),
                lines("Slowest functions", "19 of 20 calls end within this time; the ten slowest.")
                    .ask("topk(10, histogram_quantile(0.95, sum by (function, le) (rate(function_duration_seconds_bucket{@}[$__rate_interval]))))", "{{function}}"),
                lines("Functions under way", "Calls that have begun and not ended; the ten with the most.")
                    .ask("topk(10, sum by (function) (function_calls_in_flight{@}))", "{{function}}"),
            ]),
            row("Database", [
                lines("Queries", "Queries a second, by operation.")
                    .ask("sum by (pool, operation) (rate(db_queries_total{@}[$__rate_interval]))", "{{pool}} {{operation}}"),
                lines("Query time", "19 of 20 queries end within this time, not counting the wait for a connection.")
                    .ask("pool:db_query_duration_seconds:p95_5m{@}", "{{pool}}")
                    .above(0.1, 0.5)
                    .act("DatabaseQueriesSlow"),
                lines("Connections", "In use, idle, and the most there may be.")
                    .ask("sum by (pool, state) (db_pool_connections{@})", "{{pool}} {{state}}")
                    .ask("sum by (pool) (db_pool_connections_max{@})", "{{pool}} at most"),
                lines("Wait for a connection", "19 of 20 requests wait less for one, and open one in less.")
                    .ask("histogram_quantile(0.95, sum by (pool, le) (rate(db_pool_acquire_duration_seconds_bucket{@}[$__rate_interval])))", "{{pool}} wait")
                    .ask("histogram_quantile(0.95, sum by (pool, le) (rate(db_pool_connect_duration_seconds_bucket{@}[$__rate_interval])))", "{{pool}} open"),
            ]),
            row("Connections", [
                lines("No connection", "Requests for a connection that failed, by what they were doing and why.")
                    .ask("topk(10, sum by (pool, stage, error_type) (rate(db_pool_acquire_errors_total{@}[$__rate_interval])))", "{{pool}} {{stage}} {{error_type}}"),
                lines("Requests for a connection", "How they ended, and how many are waiting.")
                    .ask("sum by (pool, outcome) (rate(db_pool_acquisitions_total{@}[$__rate_interval]))", "{{pool}} {{outcome}}")
                    .ask("sum by (pool) (db_pool_waiting{@})", "{{pool}} waiting"),
                lines("Connections held", "19 of 20 connections are given back within this time.")
                    .ask("histogram_quantile(0.95, sum by (pool, le) (rate(db_pool_held_duration_seconds_bucket{@}[$__rate_interval])))", "{{pool}}"),
                lines("Listeners", "Notifications received, and connections of listeners and subscribers that were lost.")
                    .ask("sum by (pool, event) (rate(db_listener_events_total{@}[$__rate_interval]))", "{{pool}} {{event}}")
                    .ask("sum by (client) (rate(redis_client_subscriptions_lost_total{@}[$__rate_interval]))", "{{client}} lost"),
            ]),
            row("Transactions and Redis", [
                lines("Transactions", "Transactions a second, by how they ended, and requests for a connection that gave up.")
                    .ask("sum by (pool, outcome) (rate(db_transactions_total{@}[$__rate_interval]))", "{{pool}} {{outcome}}")
                    .ask("sum by (pool) (rate(db_pool_timeouts_total{@}[$__rate_interval]))", "{{pool}} gave up"),
                lines("Redis commands", "Commands a second, and messages received.")
                    .ask("sum by (client) (rate(redis_client_commands_total{@}[$__rate_interval]))", "{{client}} commands")
                    .ask("sum by (client) (rate(redis_client_messages_total{@}[$__rate_interval]))", "{{client}} messages"),
                lines("Redis time", "19 of 20 commands are answered within this time; those that wait in the server apart.")
                    .ask("client:redis_client_command_duration_seconds:p95_5m{@}", "{{client}}")
                    .ask("histogram_quantile(0.95, sum by (client, le) (rate(redis_client_blocking_duration_seconds_bucket{@}[$__rate_interval])))", "{{client}} blocking")
                    .above(0.01, 0.05)
                    .act("RedisSlow"),
                lines("Redis hits", "The share of lookups that found something: ours, and those of all clients of the server.")
                    .ask("client:redis_client_lookups_hit:ratio_rate5m{@}", "{{client}}")
                    .ask("sum by (client) (rate(redis_server_keyspace_hits_total{@}[$__rate_interval])) / (sum by (client) (rate(redis_server_keyspace_hits_total{@}[$__rate_interval])) + sum by (client) (rate(redis_server_keyspace_misses_total{@}[$__rate_interval])))", "{{client}} server"),
            ]),
            row("The metrics themselves", [
                lines("Scrape", "How long a scrape takes: the whole, and what the process spends on it.")
                    .ask("max by (instance) (scrape_duration_seconds)", "{{instance}} whole")
                    .ask("max by (instance) (obs_scrape_duration_seconds{@})", "{{instance}} process")
                    .above(1.0, 5.0)
                    .act("ScrapeSlow"),
                lines("Size of a scrape", "Bytes of the last one.")
                    .ask("max by (instance) (obs_scrape_size_bytes{@})", "{{instance}}"),
                lines("Refused scrapes", "Scrapes and connections a second that were not answered, by why. A wrong credential is a slip in a configuration, or somebody who tries.")
                    .ask("sum by (service, reason) (rate(obs_scrape_refused_total{@}[$__rate_interval]))", "{{service}} {{reason}}"),
                table("Largest families", "The twenty metrics with the most series, and what their budgets folded within the time shown.")
                    .ask("topk(20, sum by (metric) (obs_series{@}))", "series"),
            ]),
        ],
    }
}
