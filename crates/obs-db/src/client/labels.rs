//! The labels of a Redis client, and what decides their values.

use redis::{ErrorKind, RedisError, ServerErrorKind};

obs_core::label! {
    /// The client, as the program calls it.
    pub open ClientName as "client" up to 16
}

obs_core::label! {
    /// Whether what was looked up was there.
    pub enum Lookup as "result" {
        /// It was there.
        Hit = "hit",
        /// It was not.
        Miss = "miss",
    }
}

obs_core::label! {
    /// By what kind of subscription a message came.
    pub enum Subscription as "subscription" {
        /// To a channel.
        Channel = "channel",
        /// To a pattern of channels.
        Pattern = "pattern",
        /// To a channel of one shard of a cluster.
        Shard = "shard",
    }
}

obs_core::label! {
    /// What went wrong with a command.
    pub enum CommandError as "error_type" {
        /// The client did not wait any longer for the answer.
        Timeout = "timeout",
        /// The connection failed, was refused, or no node of the cluster could be reached.
        Connection = "connection",
        /// The server is reading its data from disk (`-LOADING`).
        Loading = "loading",
        /// The key lives, or is about to live, on another node (`-MOVED`, `-ASK`).
        Redirect = "redirect",
        /// The cluster cannot serve the key now (`-CLUSTERDOWN`, `-MASTERDOWN`, `-TRYAGAIN`).
        ClusterDown = "cluster_down",
        /// A write was sent to a replica (`-READONLY`).
        ReadOnly = "read_only",
        /// The script is not in the server's cache (`-NOSCRIPT`), and the command is not `EVALSHA`, whose client loads it then.
        NoScript = "no_script",
        /// The user or password is wrong, or lacks the right (`-NOPERM`, `-NOAUTH`, `-WRONGPASS`).
        Denied = "denied",
        /// The key holds another type than the command needs (`-WRONGTYPE`).
        WrongType = "wrong_type",
        /// The server is out of memory (`-OOM`).
        OutOfMemory = "out_of_memory",
        /// Any other error that the server answered.
        Server = "server",
        /// An error that the client itself found.
        Client = "client",
    }
}

impl CommandError {
    /// What kind of error it is. Nothing of its message is looked at but the code in front.
    #[must_use]
    pub fn of(error: &RedisError) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        match error.kind() {
            ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => Self::Connection,
            ErrorKind::AuthenticationFailed => Self::Denied,
            ErrorKind::Server(kind) => Self::of_kind(kind),
            ErrorKind::Extension => error.code().map_or(Self::Server, Self::of_code),
            _ => Self::Client,
        }
    }

    /// The same of an error within a reply.
    pub(crate) fn of_reply(error: &redis::ServerError) -> Self {
        match error.kind() {
            Some(kind) => Self::of_kind(kind),
            None => Self::of_code(error.code()),
        }
    }

    fn of_kind(kind: ServerErrorKind) -> Self {
        match kind {
            ServerErrorKind::BusyLoading => Self::Loading,
            ServerErrorKind::Moved | ServerErrorKind::Ask => Self::Redirect,
            ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::TryAgain => Self::ClusterDown,
            ServerErrorKind::ReadOnly => Self::ReadOnly,
            ServerErrorKind::NoScript => Self::NoScript,
            ServerErrorKind::NoPerm => Self::Denied,
            _ => Self::Server,
        }
    }

    fn of_code(code: &str) -> Self {
        match code {
            "WRONGTYPE" => Self::WrongType,
            "OOM" => Self::OutOfMemory,
            "NOAUTH" | "WRONGPASS" => Self::Denied,
            _ => Self::Server,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_by_kind_and_code() {
        let of = |kind| CommandError::of(&RedisError::from((kind, "words")));
        assert_eq!(
            of(ErrorKind::Server(ServerErrorKind::Moved)),
            CommandError::Redirect
        );
        assert_eq!(
            of(ErrorKind::Server(ServerErrorKind::BusyLoading)),
            CommandError::Loading
        );
        assert_eq!(of(ErrorKind::Parse), CommandError::Client);
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert_eq!(CommandError::of(&reset.into()), CommandError::Connection);
        let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
        assert_eq!(CommandError::of(&late.into()), CommandError::Timeout);
        assert_eq!(CommandError::of_code("WRONGTYPE"), CommandError::WrongType);
    }
}
