//! `obstool verify`, `diff` and `gen` as their users run them, on a service that none of them has the source of.

mod common;

use std::net::TcpListener;
use std::process::Command;

use common::{obstool, of_quoter, quoter, said, served, write};
use obs_core::Catalogue;
use obs_tests::Quoter;
use obs_verify::promql::Vocabulary;
use obs_verify::{Catalog, Family, dashboard, drawn};

#[test]
fn a_service_is_found_from_whatever_was_given_and_agrees_with_itself() {
    let (address, socket) = quoter();
    for (place, is_remarked) in [
        (address.clone(), false),
        (format!("http://{address}"), false),
        (format!("http://{address}/metrics"), false),
        (format!("http://{address}/"), false),
        (format!("unix:{socket}"), false),
        (format!("http://{address}/no/such/path"), true),
        (format!("http://{address}/catalog.json?x"), true),
    ] {
        let said = obstool(&["verify", &place]);
        assert_eq!(said.status, 0, "{place}: {}{}", said.out, said.err);
        assert!(
            said.out
                .contains("catalogue and scrape agree: 0 errors, 0 warnings"),
            "{}",
            said.out
        );
        assert_eq!(
            said.out.contains("note[elsewhere]"),
            is_remarked,
            "{place}: {}",
            said.out
        );
    }
}

#[test]
fn what_does_not_agree_is_found_by_kind_and_fails() {
    let catalog =
        of_quoter("/catalog.json").replace("\"Quotes sent, by how that ended.\"", "\"Quotes.\"");
    let scrape = of_quoter("/metrics").replace("outcome=\"ok\"", "outcome=\"fine\"");
    let address = served(vec![("/catalog.json", catalog), ("/metrics", scrape)], None);
    let said = obstool(&["verify", &address]);
    assert_eq!(said.status, 1);
    assert!(
        said.out
            .contains("error[help]: quoter_quotes_total: its help is"),
        "{}",
        said.out
    );
    assert!(
        said.out
            .contains("error[label_value]: quoter_quotes_total: its label `outcome` is \"fine\""),
        "{}",
        said.out
    );
    assert!(said.out.contains("disagree: 2 errors"), "{}", said.out);

    let json: serde_json::Value =
        serde_json::from_str(&obstool(&["verify", &address, "--json"]).out).unwrap();
    assert_eq!(
        (&json["passes"], &json["report"]["errors"]),
        (&false.into(), &2.into())
    );
    let github = obstool(&["verify", &address, "--format", "github"]).out;
    assert!(
        github.contains("::error title=obstool label_value::quoter_quotes_total: "),
        "{github}"
    );
}

#[test]
fn a_quiet_market_is_no_fault_unless_everything_is_expected() {
    let scrape = of_quoter("/metrics");
    let others = scrape.lines().filter(|line| !line.contains("quoter_money"));
    let scrape = others.collect::<Vec<_>>().join("\n") + "\n";
    let address = served(
        vec![
            ("/catalog.json", of_quoter("/catalog.json")),
            ("/metrics", scrape),
        ],
        None,
    );
    let said = obstool(&["verify", &address]);
    assert_eq!(said.status, 0, "{}", said.out);
    assert!(said.out.contains("note[not_seen]"), "{}", said.out);
    assert!(said.out.contains("quoter_money"), "{}", said.out);
    let said = obstool(&["verify", &address, "--strict"]);
    assert_eq!(said.status, 1);
    assert!(
        said.out.contains("error[missing]: quoter_money"),
        "{}",
        said.out
    );
}

#[test]
fn what_cannot_be_looked_at_says_why_and_is_told_apart() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let page = served(
        vec![
            ("/", "<!doctype html><p>Hello".into()),
            ("/metrics", "<html>".into()),
        ],
        None,
    );
    let nothing = served(vec![], None);
    let newer = served(
        vec![
            (
                "/catalog.json",
                "{ \"schema\": 9, \"families\": [] }".into(),
            ),
            ("/metrics", String::new()),
        ],
        None,
    );
    // Answers nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf = silent.local_addr().unwrap().to_string();
    for (arguments, told) in [
        (
            vec!["verify", &closed],
            "is unreachable: Connection refused",
        ),
        (
            vec!["verify", &page],
            "is no exposition of metrics: it is an HTML page",
        ),
        (vec!["verify", &nothing], "answers 404 Not Found"),
        (vec!["verify", &newer], "use a newer obstool"),
        (
            vec!["verify", &deaf, "--timeout", "200ms"],
            "no answer within 0.2 s",
        ),
        (
            vec!["verify", &quoter().0, "--max-bytes", "100"],
            "is larger than 100 bytes",
        ),
        (
            vec!["verify", "unix:/no/such.sock"],
            "is unreachable: No such file",
        ),
        (vec!["verify"], "name a service"),
        (vec!["verify", "user:word@desk:1"], "--basic-auth-file"),
        (
            vec!["verify", "--catalogue", "/no/such.json"],
            "cannot read /no/such.json",
        ),
    ] {
        let said = obstool(&arguments);
        assert_eq!(said.status, 2, "{arguments:?}: {}", said.out);
        assert!(said.err.contains(told), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn credentials_come_from_files_and_are_shown_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "s3cr3t-word";
    let right = write(folder.path(), "token", &format!("{secret}\n"));
    let wrong = write(folder.path(), "other", "another-word");
    let empty = write(folder.path(), "empty", "\n");
    let pages = vec![
        ("/catalog.json", of_quoter("/catalog.json")),
        ("/metrics", of_quoter("/metrics")),
    ];
    let address = served(pages, Some("s3cr3t-word"));
    let with = |file: &str| obstool(&["verify", &address, "--bearer-token-file", file]);
    assert_eq!(with(&right).status, 0);
    for (said, told) in [
        (
            obstool(&["verify", &address]),
            "give credentials by --bearer-token-file",
        ),
        (with(&wrong), "are the credentials right?"),
        (with(&empty), "it is empty"),
        (with("/no/such/file"), "cannot use /no/such/file"),
    ] {
        assert_eq!(said.status, 2);
        assert!(said.err.contains(told), "{}", said.err);
        assert!(
            !said.err.contains(secret) && !said.err.contains("another-word"),
            "{}",
            said.err
        );
    }
}

#[test]
fn a_service_without_a_catalogue_is_judged_by_its_scrape() {
    let text = "# HELP jobs Jobs.\n# TYPE jobs counter\njobs 1\n# HELP temperature_celsius T.\n# TYPE temperature_celsius gauge\ntemperature_celsius 7\n";
    let other = "{ \"families\": \"none\" }".to_owned();
    for catalog in [
        vec![],
        vec![("/catalog.json", other)],
        vec![("/catalog.json", "<html>".to_owned())],
    ] {
        let pages = catalog
            .into_iter()
            .chain([("/metrics", text.to_owned())])
            .collect();
        let said = obstool(&["verify", &served(pages, None)]);
        assert_eq!(said.status, 0, "{}{}", said.out, said.err);
        assert!(
            said.out
                .contains("note[no_catalogue]: the service has no catalogue"),
            "{}",
            said.out
        );
        assert!(
            said.out.contains(
                "warning[convention]: jobs: is a counter, and its name does not end in `_total`"
            ),
            "{}",
            said.out
        );
    }
}

const RULES: &str = "\
groups:
  - name: quoter
    rules:
      - alert: Disconnected
        expr: quoter_connected{mode!=\"backtest\"} == 0
        for: 1m
        labels: { severity: warning }
";

#[test]
fn a_teams_own_files_are_held_to_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let address = &quoter().0;
    let file = |name: &str, text: &str| write(folder.path(), name, text);
    let rules = file("rules.yml", RULES);
    let docs = file(
        "quoter.md",
        "Quotes are `quoter_quotes_total`.\n\n```promql\nsum(rate(quoter_quotes_total[5m]))\n```\n",
    );
    let sound = obstool(&["verify", address, "--rules", &rules, "--docs", &docs]);
    assert_eq!(sound.status, 0, "{}", sound.out);
    assert!(
        sound
            .out
            .contains("catalogue, scrape, rules and documents agree"),
        "{}",
        sound.out
    );

    let rules = file(
        "wrong.yml",
        &RULES.replace("quoter_connected", "quoter_conected"),
    );
    let said = obstool(&["verify", address, "--rules", &rules]);
    assert_eq!(said.status, 1);
    assert!(
        said.out.contains("did you mean `quoter_connected`?"),
        "{}",
        said.out
    );

    // Offline, and against an alert that may be undefined.
    let catalog = file("catalog.json", &of_quoter("/catalog.json"));
    let rules = file(
        "linted.yml",
        &RULES.replace(
            "quoter_connected{mode!=\"backtest\"} == 0",
            "quoter_limit_used_ratio > 0.9",
        ),
    );
    let offline = ["verify", "--catalogue", &catalog, "--rules", &rules];
    let said = obstool(&offline);
    assert_eq!(said.status, 1);
    assert!(
        said.out.contains("(undefined)") && said.out.contains("linted.yml:5"),
        "{}",
        said.out
    );
    // What is known may stay, as long as it is there.
    let known = file("known", "# For now.\nDisconnected undefined\n");
    assert_eq!(
        obstool(&[&offline[..], &["--known", &known]].concat()).status,
        0
    );
    let known = file(
        "known",
        "Disconnected undefined\nDisconnected up-without-job\n",
    );
    let said = obstool(&[&offline[..], &["--known", &known]].concat());
    assert!(
        said.status == 1 && said.out.contains("no longer found"),
        "{}",
        said.out
    );
}

#[test]
fn what_changed_from_one_edition_to_the_next_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let old = write(folder.path(), "old.json", &of_quoter("/catalog.json"));
    let new = of_quoter("/catalog.json").replace("quoter_money", "quoter_cash");
    let new = write(folder.path(), "new.json", &new);
    assert_eq!(obstool(&["diff", &old, &quoter().0]).status, 0);
    let said = obstool(&["diff", &old, &new]);
    assert_eq!(said.status, 1);
    assert!(
        said.out.contains("error[differs]: quoter_money: is gone"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("note[differs]: quoter_cash: is new"),
        "{}",
        said.out
    );
    let without = served(vec![("/metrics", String::new())], None);
    assert!(
        obstool(&["diff", &old, &without])
            .err
            .contains("has no catalogue")
    );
}

#[test]
fn two_services_that_should_be_the_same_are_held_against_each_other() {
    let address = &quoter().0;
    let said = obstool(&["verify", "--same", address, &format!("unix:{}", quoter().1)]);
    assert_eq!(said.status, 0, "{}", said.out);
    assert!(said.out.contains("the two services agree"), "{}", said.out);
    let scrape = of_quoter("/metrics").replace("le=\"0.25\"", "le=\"0.2\"");
    let other = served(
        vec![
            ("/metrics", scrape),
            ("/catalog.json", of_quoter("/catalog.json")),
        ],
        None,
    );
    let said = obstool(&["verify", "--same", address, &other]);
    assert_eq!(said.status, 1);
    assert!(
        said.out
            .contains("error[differs]: quoter_reaction_seconds: has le"),
        "{}",
        said.out
    );
    assert_eq!(obstool(&["verify", "--same", address]).status, 2);
}

#[test]
fn a_teams_own_xtask_is_five_lines() {
    // Where only this test is run, the example is not built.
    let program = obs_tests::built_example("obstool", "own_xtask").unwrap();
    let xtask = || Command::new(&program);
    let folder = tempfile::tempdir().unwrap();
    let rules = write(folder.path(), "rules.yml", RULES);
    // It knows the catalogue from the code, with a service and without one.
    let offline = said(xtask().args(["verify-metrics", "--rules", &rules]));
    assert_eq!(offline.status, 0, "{}{}", offline.out, offline.err);
    let live = said(xtask().args(["verify-metrics", &quoter().0]));
    assert_eq!(live.status, 0, "{}{}", live.out, live.err);
    assert!(
        live.out.contains("code, catalogue and scrape"),
        "{}{}",
        live.out,
        live.err
    );
    let docs = said(xtask().args(["gen", "docs"]));
    assert!(
        docs.out.contains("#### `quoter_reaction_seconds`"),
        "{}",
        docs.out
    );
    let top = said(xtask().args(["top", "--once", &quoter().0]));
    assert!(
        top.out.contains("quoter_quotes_total{"),
        "{}{}",
        top.out,
        top.err
    );
}

#[test]
fn a_catalogue_from_code_is_the_one_that_is_served() {
    let own = obs_exporter::catalogue().unwrap();
    let code = Catalogue::join([own, common::metrics::catalogue()]).unwrap();
    let code = Catalog::from(&code);
    let served = Catalog::read("catalog.json", &of_quoter("/catalog.json")).unwrap();
    assert_eq!(code.groups, served.groups);
    assert!(code.groups.iter().any(|group| group.figures.len() > 2));
    // A service does not say what only readers of its source need.
    let plain = |family: &Family| Family {
        doc: None,
        scope: None,
        declared_at: None,
        ..family.clone()
    };
    let plain = |catalog: &Catalog| {
        let families = catalog.families.iter();
        families.map(|family| plain(family)).collect::<Vec<_>>()
    };
    assert_eq!(plain(&code), plain(&served));
    let scope = dashboard::Scope {
        from: "app_info".to_owned(),
        ..dashboard::Scope::default()
    };
    let boards = |catalog: &Catalog| {
        let vocabulary = Vocabulary::new(catalog);
        let drawn = drawn::dashboards(catalog, &[], &scope);
        let json = |board| dashboard::json(board, catalog, &vocabulary);
        drawn.iter().map(json).collect::<Vec<_>>()
    };
    assert_eq!(boards(&code), boards(&served));
}

#[test]
fn dashboards_rules_and_docs_are_written_and_kept_fresh() {
    let folder = tempfile::tempdir().unwrap();
    let address = &quoter().0;
    let boards = folder.path().join("boards").display().to_string();
    let rules = folder.path().join("objectives.yml").display().to_string();
    let guide = write(
        folder.path(),
        "GUIDE.md",
        "# Metrics\n\n<!-- reference:begin -->\n<!-- reference:end -->\n",
    );
    for arguments in [
        vec!["gen", "dashboards", address, "--out", &boards],
        vec!["gen", "rules", address, "--out", &rules, "--job", "quoter"],
        vec!["gen", "docs", address, "--into", &guide],
    ] {
        let check = [&arguments[..], &["--check"]].concat();
        let stale = obstool(&check);
        assert_eq!(stale.status, 2, "{}", stale.out);
        assert!(stale.err.contains("is stale"), "{}", stale.err);
        let wrote = obstool(&arguments);
        assert_eq!(wrote.status, 0, "{}", wrote.err);
        assert_eq!(obstool(&check).status, 0);
    }
    let text = std::fs::read_to_string(folder.path().join("boards/quoting.json")).unwrap();
    let board: serde_json::Value = serde_json::from_str(&text).unwrap();
    let variables = board["templating"]["list"].as_array().unwrap();
    let names: Vec<_> = variables
        .iter()
        .map(|variable| variable["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["datasource", "service", "environment", "mode", "instance"]
    );
    // What is generated is sound by the same rules as what people write.
    let generated = obstool(&[
        "verify",
        address,
        "--rules",
        &rules,
        "--dashboards",
        &format!("{boards}/quoting.json"),
        &format!("{boards}/money.json"),
        "--docs",
        &guide,
    ]);
    assert_eq!(generated.status, 0, "{}{}", generated.out, generated.err);
}

#[test]
fn a_service_of_another_team_agrees_with_what_it_declares() {
    let quoter = Quoter::start(&[]).unwrap();
    let said = obstool(&["verify", quoter.url()]);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("0 errors, 0 warnings"), "{}", said.out);

    let wrong = Quoter::start(&["wrong"]).unwrap();
    let said = obstool(&["verify", wrong.url()]);
    assert!(said.out.contains("vega_queue_depth"), "{}", said.out);
}
