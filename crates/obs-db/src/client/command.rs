//! The commands of Redis that have series of their own.

use redis::Value;

/// The longest name of [`Command`] that can be matched; a longer one is `other`.
const LONGEST: usize = 20;

macro_rules! commands {
    ($($Variant:ident = $name:literal,)+) => {
        obs_core::label! {
            /// A command, by its name without subcommands and arguments.
            pub enum Command as "command" {
                $($Variant = $name,)+
                /// The time of a pipeline as a whole; its commands are counted by their own names.
                Pipeline = "pipeline",
                /// The time of a `MULTI … EXEC` as a whole; its commands are counted by their own names.
                Transaction = "transaction",
                /// Any other: the program chooses the words it sends, so they must not make series.
                Other = "other",
            }
        }

        impl Command {
            fn of_lowercase(name: &str) -> Self {
                match name {
                    $($name => Self::$Variant,)+
                    _ => Self::Other,
                }
            }
        }
    };
}

// The frequent ones stand first: that is the order in which they are compared.
commands! {
    Get = "get",
    Set = "set",
    HGet = "hget",
    HSet = "hset",
    MGet = "mget",
    MSet = "mset",
    HMGet = "hmget",
    HMSet = "hmset",
    HGetAll = "hgetall",
    GetEx = "getex",
    GetDel = "getdel",
    GetSet = "getset",
    SetEx = "setex",
    PSetEx = "psetex",
    SetNx = "setnx",
    Del = "del",
    Unlink = "unlink",
    Exists = "exists",
    Incr = "incr",
    IncrBy = "incrby",
    IncrByFloat = "incrbyfloat",
    Decr = "decr",
    DecrBy = "decrby",
    Expire = "expire",
    PExpire = "pexpire",
    ExpireAt = "expireat",
    PExpireAt = "pexpireat",
    Persist = "persist",
    Ttl = "ttl",
    PTtl = "pttl",
    Type = "type",
    Publish = "publish",
    XAdd = "xadd",
    XRead = "xread",
    XReadGroup = "xreadgroup",
    XAck = "xack",
    LPush = "lpush",
    RPush = "rpush",
    LPop = "lpop",
    RPop = "rpop",
    ZAdd = "zadd",
    ZRange = "zrange",
    SAdd = "sadd",
    SMembers = "smembers",
    Ping = "ping",
    EvalSha = "evalsha",
    Eval = "eval",
    FCall = "fcall",
    Append = "append",
    StrLen = "strlen",
    GetRange = "getrange",
    SetRange = "setrange",
    MSetNx = "msetnx",
    HDel = "hdel",
    HExists = "hexists",
    HIncrBy = "hincrby",
    HIncrByFloat = "hincrbyfloat",
    HKeys = "hkeys",
    HVals = "hvals",
    HLen = "hlen",
    HSetNx = "hsetnx",
    HScan = "hscan",
    HGetEx = "hgetex",
    HSetEx = "hsetex",
    HGetDel = "hgetdel",
    HExpire = "hexpire",
    LLen = "llen",
    LRange = "lrange",
    LIndex = "lindex",
    LSet = "lset",
    LRem = "lrem",
    LTrim = "ltrim",
    LMove = "lmove",
    BLPop = "blpop",
    BRPop = "brpop",
    BLMove = "blmove",
    BLMPop = "blmpop",
    BRPopLPush = "brpoplpush",
    BZPopMin = "bzpopmin",
    BZPopMax = "bzpopmax",
    BZMPop = "bzmpop",
    SRem = "srem",
    SIsMember = "sismember",
    SMIsMember = "smismember",
    SCard = "scard",
    SPop = "spop",
    SRandMember = "srandmember",
    SInter = "sinter",
    SUnion = "sunion",
    SDiff = "sdiff",
    SScan = "sscan",
    ZRem = "zrem",
    ZScore = "zscore",
    ZMScore = "zmscore",
    ZRangeByScore = "zrangebyscore",
    ZRevRange = "zrevrange",
    ZRank = "zrank",
    ZCard = "zcard",
    ZCount = "zcount",
    ZIncrBy = "zincrby",
    ZPopMin = "zpopmin",
    ZPopMax = "zpopmax",
    ZRemRangeByScore = "zremrangebyscore",
    ZScan = "zscan",
    XRange = "xrange",
    XRevRange = "xrevrange",
    XLen = "xlen",
    XDel = "xdel",
    XTrim = "xtrim",
    XGroup = "xgroup",
    XPending = "xpending",
    XClaim = "xclaim",
    XAutoClaim = "xautoclaim",
    PfAdd = "pfadd",
    PfCount = "pfcount",
    PfMerge = "pfmerge",
    SetBit = "setbit",
    GetBit = "getbit",
    BitCount = "bitcount",
    BitOp = "bitop",
    BitField = "bitfield",
    GeoAdd = "geoadd",
    GeoDist = "geodist",
    GeoPos = "geopos",
    GeoSearch = "geosearch",
    SPublish = "spublish",
    Subscribe = "subscribe",
    PSubscribe = "psubscribe",
    SSubscribe = "ssubscribe",
    Unsubscribe = "unsubscribe",
    PUnsubscribe = "punsubscribe",
    SUnsubscribe = "sunsubscribe",
    Multi = "multi",
    Exec = "exec",
    Discard = "discard",
    Watch = "watch",
    Unwatch = "unwatch",
    Script = "script",
    Function = "function",
    Scan = "scan",
    Keys = "keys",
    RandomKey = "randomkey",
    Rename = "rename",
    Copy = "copy",
    Dump = "dump",
    Restore = "restore",
    Touch = "touch",
    Wait = "wait",
    WaitAof = "waitaof",
    Echo = "echo",
    Auth = "auth",
    Hello = "hello",
    Select = "select",
    Info = "info",
    Config = "config",
    Client = "client",
    Cluster = "cluster",
    DbSize = "dbsize",
    FlushDb = "flushdb",
    FlushAll = "flushall",
    JsonGet = "json.get",
    JsonMGet = "json.mget",
    JsonSet = "json.set",
    JsonDel = "json.del",
}

impl Command {
    /// The command of this name, in whatever case; a name that is not known is [`Other`](Self::Other).
    ///
    /// ```
    /// use obs_db::Command;
    ///
    /// assert_eq!(Command::of(b"HGETALL"), Command::HGetAll);
    /// assert_eq!(Command::of(b"MY.OWN"), Command::Other);
    /// ```
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        let mut lowercase = [0; LONGEST];
        let Some(lowercase) = lowercase.get_mut(..name.len()) else {
            return Self::Other;
        };
        lowercase.copy_from_slice(name);
        lowercase.make_ascii_lowercase();
        std::str::from_utf8(lowercase).map_or(Self::Other, Self::of_lowercase)
    }

    /// Whether the server lets the client wait until there is something to answer, by what is asked behind the name.
    pub(crate) fn blocks<'a>(self, mut arguments: impl Iterator<Item = &'a [u8]>) -> bool {
        match self {
            Self::BLPop
            | Self::BRPop
            | Self::BLMove
            | Self::BLMPop
            | Self::BRPopLPush
            | Self::BZPopMin
            | Self::BZPopMax
            | Self::BZMPop
            | Self::Wait
            | Self::WaitAof => true,
            // Behind `STREAMS` there are names of streams, which may be any words.
            Self::XRead | Self::XReadGroup => arguments
                .by_ref()
                .take_while(|argument| !argument.eq_ignore_ascii_case(b"STREAMS"))
                .any(|argument| argument.eq_ignore_ascii_case(b"BLOCK")),
            _ => false,
        }
    }

    /// How many of the keys or fields that were asked for were there, and how many were not; nothing for a command that
    /// does not ask.
    pub(crate) fn lookups(self, reply: &Value) -> Lookups {
        let reply = match reply {
            Value::Attribute { data, .. } => data,
            reply => reply,
        };
        match (self, reply) {
            (
                Self::Get | Self::GetEx | Self::GetDel | Self::GetSet | Self::HGet | Self::JsonGet,
                reply,
            ) => Lookups::one(!matches!(reply, Value::Nil)),
            (
                Self::MGet | Self::HMGet | Self::HGetEx | Self::HGetDel | Self::JsonMGet,
                Value::Array(items),
            ) => {
                let misses = items
                    .iter()
                    .filter(|item| matches!(item, Value::Nil))
                    .count() as u64;
                Lookups {
                    hits: items.len() as u64 - misses,
                    misses,
                }
            }
            (Self::HGetAll, Value::Array(items)) => Lookups::one(!items.is_empty()),
            (Self::HGetAll, Value::Map(entries)) => Lookups::one(!entries.is_empty()),
            _ => Lookups::default(),
        }
    }
}

/// A command as it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) command: Command,
    /// It may wait in the server, for as long as it asks to.
    pub(crate) blocks: bool,
}

impl Asked {
    pub(crate) fn plain(command: Command) -> Self {
        Self {
            command,
            blocks: false,
        }
    }

    /// By its words, of which the first is the name.
    pub(crate) fn of<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Self {
        let command = words.next().map_or(Command::Other, Command::of);
        Self {
            command,
            blocks: command.blocks(words),
        }
    }
}

/// What was looked up by one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lookups {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

impl Lookups {
    fn one(hit: bool) -> Self {
        Self {
            hits: u64::from(hit),
            misses: u64::from(!hit),
        }
    }
}

#[cfg(test)]
mod tests {
    use obs_core::Closed;

    use super::*;

    #[test]
    fn every_command_is_found_in_any_case() {
        use Command::{Other, Pipeline, Transaction};
        for command in Command::ALL {
            let name = command.as_str();
            let expected = match command {
                // Not commands of Redis: nobody can send them.
                Pipeline | Transaction => Other,
                command => *command,
            };
            assert!(name.len() <= LONGEST, "{name}");
            assert_eq!(Command::of(name.as_bytes()), expected);
            assert_eq!(Command::of(name.to_uppercase().as_bytes()), expected);
        }
    }

    #[test]
    fn a_command_that_waits_in_the_server_blocks() {
        let blocks = |text: &str| Asked::of(text.split(' ').map(str::as_bytes)).blocks;
        assert!(blocks("BLPOP queue 5"));
        assert!(blocks("bzpopmin scores 0"));
        assert!(blocks("XREAD COUNT 1 block 0 STREAMS fills $"));
        assert!(blocks("XREADGROUP GROUP a b BLOCK 5 STREAMS fills >"));
        assert!(!blocks("XREAD STREAMS BLOCK 0"));
        assert!(!blocks("LPOP queue"));
        assert!(!blocks("SET BLOCK 1"));
    }

    #[test]
    fn what_is_not_a_command_is_other() {
        for name in [&b""[..], b"get ", b"\xff\xfe", &[b'x'; 1_000]] {
            assert_eq!(Command::of(name), Command::Other);
        }
    }

    #[test]
    fn lookups_are_counted_where_the_reply_tells() {
        let found = || Value::BulkString(b"1".to_vec());
        let lookups = |hits, misses| Lookups { hits, misses };

        assert_eq!(Command::Get.lookups(&found()), lookups(1, 0));
        assert_eq!(Command::HGet.lookups(&Value::Nil), lookups(0, 1));
        let three = Value::Array(vec![found(), Value::Nil, found()]);
        assert_eq!(Command::MGet.lookups(&three), lookups(2, 1));
        assert_eq!(
            Command::HGetAll.lookups(&Value::Map(Vec::new())),
            lookups(0, 1)
        );
        assert_eq!(Command::HGetAll.lookups(&three), lookups(1, 0));
        assert_eq!(Command::LRange.lookups(&three), lookups(0, 0));
        assert_eq!(Command::Set.lookups(&Value::Nil), lookups(0, 0));
    }
}
