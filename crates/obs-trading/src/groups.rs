//! What is shown together of this crate, and first.

use obs_core::{Alarm, Figure, Group, Reading, Worse};

use crate::performance::{PerformanceMetrics, PerformanceMoneyMetrics};
use crate::performance::{PortfolioMetrics, PortfolioMoneyMetrics};
use crate::{
    CostMetrics, PortfolioBookMetrics, PositionMetrics, PositionMoneyMetrics,
    ReconciliationMetrics, RiskMetrics, StrategyMetrics, VenueMetrics,
};

/// Somebody responsible for a desk asks for its money first, then for its risk, then for its orders.
const MONEY: u16 = Group::LIBRARY;
const HEADROOM: u16 = Group::LIBRARY + 1;
const ORDERS: u16 = Group::LIBRARY + 2;

const DAY: &[(&str, &str)] = &[("period", "day")];
const MONTH: &[(&str, &str)] = &[("period", "month")];
const TOTAL: &[(&str, &str)] = &[("period", "total")];

/// From the signal to the last fill.
pub(crate) const TRADING: Group = Group::new("Trading").rank(Group::LIBRARY + 20).figures(&[
    Figure::rate("Orders", VenueMetrics::orders)
        .facts(&[
            (
                "filled",
                Reading::sum(VenueMetrics::closed).with(&[("outcome", "filled")]),
            ),
            (
                "cancelled",
                Reading::sum(VenueMetrics::closed).with(&[("outcome", "cancelled")]),
            ),
            ("open", Reading::sum(VenueMetrics::open)),
        ])
        .rank(ORDERS),
    Figure::value(
        "Rejections",
        Reading::rate(VenueMetrics::rejected).plus(&[StrategyMetrics::trades_rejected]),
    )
    .facts(&[
        (
            "by risk checks",
            Reading::sum(StrategyMetrics::trades_rejected),
        ),
        ("by venues", Reading::sum(VenueMetrics::rejected)),
    ])
    .worse(Worse::Up)
    .rank(ORDERS),
    Figure::quantiles("Signal to execution", StrategyMetrics::execution)
        .worse(Worse::Up)
        .rank(ORDERS),
    Figure::steps(
        "Tick to order to fill",
        &[
            ("tick to order", StrategyMetrics::tick_to_order),
            ("order to fill", VenueMetrics::fill),
        ],
    )
    .worse(Worse::Up)
    .rank(ORDERS),
    Figure::events(
        "Events",
        &[
            ("refused", StrategyMetrics::trades_rejected, "reason"),
            ("rejected", VenueMetrics::rejected, "reason"),
            ("taken back", VenueMetrics::corrections, "kind"),
            ("exit", RiskMetrics::exits, "trigger"),
        ],
    )
    .rank(ORDERS),
]);

/// What strategies and accounts make.
pub(crate) const PERFORMANCE: Group =
    Group::new("Performance")
        .rank(Group::LIBRARY + 30)
        .figures(&[
            Figure::curve(
                "Equity and drawdown",
                Reading::sum(PortfolioMoneyMetrics::value),
                Reading::least(PortfolioMetrics::drawdown),
            )
            .marks(&[
                ("executions", VenueMetrics::fills),
                ("rejections", VenueMetrics::rejected),
            ])
            .zoomed()
            .rank(MONEY),
            Figure::value(
                "Portfolio value",
                Reading::sum(PortfolioMoneyMetrics::value),
            )
            .facts(&[
                (
                    "day",
                    Reading::sum(PortfolioMoneyMetrics::value_change)
                        .with(DAY)
                        .signed(),
                ),
                (
                    "month",
                    Reading::sum(PortfolioMoneyMetrics::value_change)
                        .with(MONTH)
                        .signed(),
                ),
            ])
            .zoomed()
            .rank(MONEY),
            Figure::value(
                "Realised profit and loss",
                Reading::sum(PortfolioMoneyMetrics::pnl)
                    .with(TOTAL)
                    .signed(),
            )
            .facts(&[
                (
                    "day",
                    Reading::sum(PortfolioMoneyMetrics::pnl).with(DAY).signed(),
                ),
                (
                    "month",
                    Reading::sum(PortfolioMoneyMetrics::pnl)
                        .with(MONTH)
                        .signed(),
                ),
            ])
            .worse(Worse::Down)
            .headline()
            .rank(MONEY),
            Figure::value("Drawdown", Reading::least(PortfolioMetrics::drawdown))
                .facts(&[
                    ("deepest", Reading::least(PortfolioMetrics::max_drawdown)),
                    ("open for", Reading::most(PortfolioMetrics::drawdown_age)),
                ])
                .worse(Worse::Down)
                .rank(MONEY),
            Figure::table(
                "Strategies",
                "strategy",
                &[
                    (
                        "P/L",
                        Reading::sum(PerformanceMoneyMetrics::realized).signed(),
                    ),
                    (
                        "open",
                        Reading::sum(PerformanceMoneyMetrics::open_pnl).signed(),
                    ),
                    ("won", Reading::least(PerformanceMetrics::win_ratio)),
                    ("signals", Reading::sum(StrategyMetrics::signals)),
                    ("slippage", SLIPPAGE),
                    ("active", Reading::least(StrategyMetrics::active)),
                ],
            )
            .rank(MONEY),
        ]);

/// What slippage cost, without what it gained.
const SLIPPAGE: Reading = Reading::sum(CostMetrics::slippage).with(&[("direction", "adverse")]);

const GROSS: &[(&str, &str)] = &[("kind", "gross")];
const NET: &[(&str, &str)] = &[("kind", "net")];

/// What is held, what made its profit and loss, and whether the broker agrees.
pub(crate) const POSITIONS: Group = Group::new("Positions").rank(Group::LIBRARY + 35).figures(&[
    Figure::value(
        "Exposure",
        Reading::sum(PortfolioBookMetrics::exposure).with(GROSS),
    )
    .facts(&[
        (
            "net",
            Reading::sum(PortfolioBookMetrics::exposure)
                .with(NET)
                .signed(),
        ),
        ("leverage", Reading::most(PortfolioBookMetrics::leverage)),
    ])
    .rank(HEADROOM),
    Figure::value(
        "Open breaks",
        Reading::sum(ReconciliationMetrics::open_breaks),
    )
    .worse(Worse::Up)
    .rank(HEADROOM),
    Figure::table(
        "Positions",
        "symbol",
        &[
            ("units", Reading::sum(PositionMetrics::quantity).signed()),
            ("value", Reading::sum(PositionMoneyMetrics::value).signed()),
            (
                "open P/L",
                Reading::sum(PositionMoneyMetrics::unrealized).signed(),
            ),
        ],
    )
    .rank(HEADROOM),
    Figure::parts(
        "What made the profit and loss",
        Reading::sum(PortfolioBookMetrics::component)
            .with(TOTAL)
            .signed(),
        "component",
    )
    .rank(HEADROOM),
]);

/// What a desk risks.
pub(crate) const RISK: Group = Group::new("Risk").rank(Group::LIBRARY + 40).figures(&[
    Figure::value("Risk headroom", Reading::least(RiskMetrics::headroom))
        .facts(&[
            (
                "tightest",
                Reading::where_least(RiskMetrics::headroom, "limit"),
            ),
            ("hits", Reading::sum(RiskMetrics::limit_hits)),
        ])
        .worse(Worse::Down)
        .alarms(&[Alarm::at_most(Reading::least(RiskMetrics::headroom), 0.0)])
        .rank(HEADROOM),
    Figure::bars(
        "Risk limits",
        "limit",
        Reading::sum(RiskMetrics::limit_used),
        Reading::sum(RiskMetrics::limit_allowed),
    )
    .worse(Worse::Up)
    .rank(HEADROOM),
]);
