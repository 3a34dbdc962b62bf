//! Against real servers: `PostgreSQL`, `MariaDB` and Redis, each test with one of its own.

mod common;
mod forms;
mod mariadb;
mod pools;
mod postgres;
mod redis;
mod redis_cluster;
