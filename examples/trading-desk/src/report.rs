//! What the replay came to, as tables.

use comfy_table::{CellAlignment, Table, presets};

use crate::account::Account;
use crate::error::Error;
use crate::service::Service;
use crate::store::Results;
use crate::strategy::StrategyId;

/// The tables as text: trades and profit by strategy, orders by outcome, refusals by rule, the account.
pub async fn report(service: &Service) -> Result<String, Error> {
    let results = service.store().results().await?;
    let text = |account: &Account| {
        [
            strategies(account, &results),
            orders(account),
            refusals(account),
            portfolio(account),
        ]
        .map(|table| table.to_string())
        .join("\n\n")
    };
    Ok(service.look(text).await)
}

fn strategies(account: &Account, results: &[Results]) -> Table {
    let mut table = table(&["strategy", "trades", "wins", "realised USD", "open USD"]);
    let all = StrategyId::AUTOMATIC
        .into_iter()
        .chain([StrategyId::Manual]);
    for id in all {
        let results = results.iter().find(|results| results.strategy == id);
        let share = results.map(|results| f64::from(results.wins) / f64::from(results.trades));
        table.add_row([
            id.to_string(),
            results.map_or(0, |results| results.trades).to_string(),
            share.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0)),
            format!("{:.2}", account.portfolio().realized(id)),
            format!("{:.2}", account.portfolio().unrealized(id)),
        ]);
    }
    table
}

fn orders(account: &Account) -> Table {
    let tally = account.orders();
    let mut table = table(&["orders", "count"]);
    table.add_row(["submitted".to_owned(), tally.submitted.to_string()]);
    for (status, count) in &tally.closed {
        table.add_row([status.to_string(), count.to_string()]);
    }
    table.add_row(["open".to_owned(), tally.open.to_string()]);
    table
}

fn refusals(account: &Account) -> Table {
    let mut table = table(&["refused by the risk check", "rule", "count"]);
    for ((strategy, reason), count) in account.refused() {
        table.add_row([strategy.to_string(), reason.to_string(), count.to_string()]);
    }
    table
}

fn portfolio(account: &Account) -> Table {
    let portfolio = account.portfolio();
    let mut table = table(&["account", "USD"]);
    table.add_row([
        "began with".to_owned(),
        format!("{:.2}", portfolio.starting_cash()),
    ]);
    table.add_row(["cash".to_owned(), format!("{:.2}", portfolio.cash())]);
    table.add_row([
        format!("equity on {}", account.today()),
        format!("{:.2}", portfolio.equity()),
    ]);
    table
}

/// A table whose last columns are figures, and aligned like them.
fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_header(header.iter().copied());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
