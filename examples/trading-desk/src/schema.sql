-- Orders and closed trades. A file may be used for many replays: each is a run of its own.
CREATE TABLE IF NOT EXISTS runs (
    id   INTEGER PRIMARY KEY,
    cash REAL NOT NULL
);

CREATE TABLE IF NOT EXISTS orders (
    run            INTEGER NOT NULL REFERENCES runs (id),
    id             INTEGER NOT NULL,
    strategy       TEXT    NOT NULL,
    symbol         TEXT    NOT NULL,
    side           TEXT    NOT NULL,
    quantity       INTEGER NOT NULL,
    limit_price    REAL,
    decision_price REAL,
    submitted      TEXT    NOT NULL,
    status         TEXT    NOT NULL,
    closed         TEXT,
    fill_price     REAL,
    commission     REAL,
    slippage_bps   REAL,
    reject_reason  TEXT,
    PRIMARY KEY (run, id)
);

CREATE TABLE IF NOT EXISTS trades (
    run           INTEGER NOT NULL REFERENCES runs (id),
    closing_order INTEGER NOT NULL,
    strategy      TEXT    NOT NULL,
    symbol        TEXT    NOT NULL,
    quantity      INTEGER NOT NULL,
    opened        TEXT    NOT NULL,
    closed        TEXT    NOT NULL,
    entry_price   REAL    NOT NULL,
    exit_price    REAL    NOT NULL,
    pnl           REAL    NOT NULL,
    PRIMARY KEY (run, closing_order)
);
