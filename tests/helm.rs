//! The Helm chart in Helm's hands. Compiled and run by `cargo xtask test --peers` only, which builds Helm.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use obs_tests::{python_says, tools};
use serde_json::{Value, json};

/// What the chart makes of these values, beside its own; or what Helm has against it.
fn helm(verb: &[&str], values: &Value) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.yaml");
    fs::write(&file, values.to_string()).unwrap();
    let mut helm = Command::new(tools::helm().unwrap());
    // Nothing of the user's own.
    helm.env("HELM_CACHE_HOME", folder.path())
        .env("HELM_CONFIG_HOME", folder.path())
        .env("HELM_DATA_HOME", folder.path());
    let output = helm
        .args(verb)
        .arg(tools::workspace().join("deploy/chart"))
        .arg("--values")
        .arg(&file)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr) + &text(output.stdout))
    }
}

/// The manifests that the chart makes, by kind and name.
fn manifests(values: &Value) -> BTreeMap<(String, String), Value> {
    let text = helm(&["template", "desk"], values).unwrap();
    by_name(serde_saphyr::from_multiple(&text).unwrap())
}

fn by_name(manifests: Vec<Value>) -> BTreeMap<(String, String), Value> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let named = manifests.into_iter().map(|manifest| {
        let name = text(&manifest["metadata"]["name"]);
        ((text(&manifest["kind"]), name), manifest)
    });
    named.collect()
}

/// Without values of one's own, the chart is the manifests of `deploy/kubernetes`, rules and dashboards to the letter.
#[test]
fn helm_makes_the_manifests_that_are_there_without_it() {
    let folder = tools::workspace().join("deploy/kubernetes");
    let read = |name: &str| -> Vec<Value> {
        serde_saphyr::from_multiple(&fs::read_to_string(folder.join(name)).unwrap()).unwrap()
    };
    let plain = ["desk.yaml", "rules.yaml", "dashboards.yaml"].map(read);
    let plain = by_name(plain.into_iter().flatten().collect());
    let chart = manifests(&json!({}));
    assert_eq!(
        plain.keys().collect::<Vec<_>>(),
        chart.keys().collect::<Vec<_>>()
    );
    for (name, manifest) in &plain {
        assert_eq!(manifest, &chart[name], "{name:?}");
    }
    helm(&["lint", "--strict"], &json!({})).unwrap_or_else(|error| panic!("{error}"));
}

/// Every value arrives, and what comes of it is what Kubernetes, the operator and Prometheus take.
#[test]
fn a_firm_has_its_own_values() {
    let webhook = json!({ "webhook_configs": [{ "url": "http://pager:8080/" }] });
    let values = json!({
        "name": "quoter",
        "environment": "production",
        "mode": "live",
        "env": [{ "name": "BROKER_TOKEN", "valueFrom": { "secretKeyRef": { "name": "broker", "key": "token" } } }],
        "storage": { "enabled": true, "storageClassName": "fast", "resources": { "requests": { "storage": "20Gi" } } },
        "serviceMonitor": { "enabled": false },
        "podMonitor": { "enabled": true, "labels": { "release": "prometheus" } },
        "rules": {
            "labels": { "release": "prometheus" },
            "runbooks": "",
            "thresholds": { "drawdown": 0.075 },
            "desks": [
                { "service": "quoter", "environment": "production", "mode": "live" },
                { "service": "quoter", "environment": "production", "mode": "live", "instance": "quoter-0:9464" },
            ],
        },
        "alertmanager": {
            "enabled": true,
            "receivers": { "pager": webhook, "tickets": webhook, "chat": webhook, "watchdog": webhook },
        },
    });
    let made = manifests(&values);
    let named = |kind: &str, name: &str| &made[&(kind.to_owned(), name.to_owned())];
    let pod = &named("StatefulSet", "quoter")["spec"]["template"];
    for (label, value) in [
        ("service", "quoter"),
        ("environment", "production"),
        ("mode", "live"),
    ] {
        assert_eq!(pod["metadata"]["labels"][label], value);
    }
    let env = pod
        .pointer("/spec/containers/0/env")
        .unwrap()
        .as_array()
        .unwrap();
    assert_eq!(env.last().unwrap()["name"], "BROKER_TOKEN");
    let claim = named("StatefulSet", "quoter").pointer("/spec/volumeClaimTemplates/0/spec");
    assert_eq!(claim.unwrap()["storageClassName"], "fast");
    assert_eq!(
        named("PodMonitor", "quoter")["metadata"]["labels"]["release"],
        "prometheus"
    );
    assert!(!made.keys().any(|(kind, _)| kind == "ServiceMonitor"));

    let risk = named("PrometheusRule", "quoter-risk").to_string();
    assert!(
        risk.contains("< -0.075") && risk.contains("more than 7.5 %"),
        "{risk}"
    );
    let health = named("PrometheusRule", "quoter-health").to_string();
    assert!(
        health.contains("absent(up{job=\\\"quoter\\\", service=\\\"quoter\\\""),
        "{health}"
    );
    assert!(
        health.contains("instance=\\\"quoter-0:9464\\\""),
        "{health}"
    );
    assert!(!health.contains("runbook_url"));

    let all: Vec<&Value> = made.values().collect();
    let said = python_says(
        include_str!("harness/manifest.py"),
        &serde_json::to_string(&all).unwrap(),
    );
    let verdicts: Vec<Option<String>> = serde_json::from_str(&said.unwrap().unwrap()).unwrap();
    for (manifest, refused) in all.iter().zip(verdicts) {
        assert_eq!(refused, None, "{}", manifest["metadata"]["name"]);
    }
    let folder = tempfile::tempdir().unwrap();
    for (_, manifest) in made
        .iter()
        .filter(|((kind, _), _)| kind == "PrometheusRule")
    {
        let name = manifest["metadata"]["name"].as_str().unwrap();
        let file = folder.path().join(format!("{name}.json"));
        // What is JSON is YAML too.
        fs::write(&file, manifest["spec"].to_string()).unwrap();
        succeeds(&tools::promtool().unwrap(), &["check", "rules"], &file);
    }
    let secret = &named("Secret", "quoter-alertmanager")["stringData"]["alertmanager.yaml"];
    let file = folder.path().join("alertmanager.yml");
    fs::write(&file, secret.as_str().unwrap()).unwrap();
    succeeds(&tools::amtool().unwrap(), &["check-config"], &file);
    assert!(secret.as_str().unwrap().contains("http://pager:8080/"));
}

fn succeeds(program: &Path, verb: &[&str], file: &Path) {
    let output = Command::new(program).args(verb).arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", file.display());
}

/// A slip in the values is an error that names it, before anything is installed.
#[test]
fn wrong_values_are_refused_by_name() {
    let nobody = json!({ "enabled": true });
    for (values, named) in [
        (json!({ "mode": "production" }), "mode"),
        (json!({ "enviroment": "staging" }), "enviroment"),
        (json!({ "name": "Trading Desk" }), "name"),
        (
            json!({ "rules": { "thresholds": { "drawdwon": 0.1 } } }),
            "drawdwon",
        ),
        (
            json!({ "rules": { "thresholds": { "drawdown": "10 %" } } }),
            "drawdown",
        ),
        (
            json!({ "rules": { "desks": [{ "service": "quoter" }] } }),
            "environment",
        ),
        (
            json!({ "podMonitor": { "interval": "15 seconds" } }),
            "interval",
        ),
        (
            json!({ "networkPolicy": { "metricsFrom": [] } }),
            "metricsFrom",
        ),
        (
            json!({ "alertmanager": nobody }),
            "alertmanager.receivers.pager reaches nobody",
        ),
    ] {
        let error = helm(&["template", "desk"], &values).unwrap_err();
        assert!(error.contains(named), "{values}: {error}");
    }
}
