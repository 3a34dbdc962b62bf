//! The manifests under `deploy/kubernetes`, by the schemas of those who read them.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use obs_tests::{python_says, tools};
use serde_json::{Value, json};

/// Every manifest, by the file it stands in.
fn manifests() -> Vec<(String, Vec<Value>)> {
    let folder = tools::workspace().join("deploy/kubernetes");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let read = |path: std::path::PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let manifests = serde_saphyr::from_multiple(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.display().to_string(), manifests)
    };
    files.into_iter().map(read).collect()
}

fn named(kind: &str) -> Value {
    let mut all = manifests().into_iter().flat_map(|(_, manifests)| manifests);
    all.find(|manifest| manifest["kind"] == kind)
        .unwrap_or_else(|| panic!("no {kind}"))
}

/// What the schemas have against each of these.
fn judged(manifests: &[&Value]) -> Vec<Option<String>> {
    let text = serde_json::to_string(manifests).unwrap();
    let said = python_says(include_str!("harness/manifest.py"), &text).unwrap();
    serde_json::from_str(&said.unwrap_or_else(|error| panic!("{error}"))).unwrap()
}

#[test]
fn every_manifest_is_what_its_schema_knows() {
    let manifests = manifests();
    let all: Vec<&Value> = manifests
        .iter()
        .flat_map(|(_, manifests)| manifests)
        .collect();
    for (manifest, refused) in all.iter().zip(judged(&all)) {
        assert_eq!(
            refused, None,
            "{} {}",
            manifest["kind"], manifest["metadata"]["name"]
        );
    }
    let kinds: BTreeSet<_> = all
        .iter()
        .map(|manifest| manifest["kind"].as_str().unwrap())
        .collect();
    let expected = [
        "ConfigMap",
        "NetworkPolicy",
        "PrometheusRule",
        "Service",
        "ServiceMonitor",
        "StatefulSet",
    ];
    assert_eq!(kinds, expected.into());
}

/// A slip in any of them is reported: the check can fail.
#[test]
fn what_no_schema_knows_is_found() {
    let slips = [
        (
            "StatefulSet",
            "/spec/template/spec/containers/0/readynessProbe",
            json!({}),
        ),
        ("StatefulSet", "/spec/replicas", json!("one")),
        ("Service", "/spec/ports/0/prot", json!(80)),
        ("ConfigMap", "/data/number", json!(1)),
        (
            "ServiceMonitor",
            "/spec/endpoints/0/honourLabels",
            json!(true),
        ),
        (
            "ServiceMonitor",
            "/spec/endpoints/0/interval",
            json!("15 seconds"),
        ),
        (
            "PrometheusRule",
            "/spec/groups/0/rules/0/exprr",
            json!("up"),
        ),
    ];
    let broken = slips.each_ref().map(|(kind, path, wrong)| {
        let mut manifest = named(kind);
        let (parent, key) = path.rsplit_once('/').unwrap();
        manifest.pointer_mut(parent).unwrap()[key] = wrong.clone();
        manifest
    });
    let verdicts = judged(&broken.each_ref());
    for ((_, path, wrong), refused) in slips.iter().zip(verdicts) {
        assert!(refused.is_some(), "{path}: {wrong} was accepted");
    }
}

/// The groups that a `PrometheusRule` holds are ones that Prometheus takes.
#[test]
fn prometheus_takes_the_rules_of_the_manifests() {
    let folder = tempfile::tempdir().unwrap();
    let rules = manifests()
        .into_iter()
        .flat_map(|(_, manifests)| manifests)
        .filter(|manifest| manifest["kind"] == "PrometheusRule");
    let write = |manifest: Value| {
        let name = manifest["metadata"]["name"].as_str().unwrap();
        let path = folder.path().join(format!("{name}.json"));
        // What is JSON is YAML too.
        fs::write(&path, manifest["spec"].to_string()).unwrap();
        path
    };
    let files: Vec<_> = rules.map(write).collect();
    assert!(!files.is_empty());
    let output = Command::new(tools::promtool().unwrap())
        .args(["check", "rules"])
        .args(files)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
}

/// Settings are read from the environment, where Kubernetes adds variables for each Service of the namespace unless a pod opts out.
#[test]
fn no_pod_gets_variables_of_other_services() {
    let all = manifests().into_iter().flat_map(|(_, manifests)| manifests);
    let with_pods: Vec<_> = all
        .filter(|manifest| manifest.pointer("/spec/template/spec").is_some())
        .collect();
    assert!(!with_pods.is_empty());
    for manifest in with_pods {
        assert_eq!(
            manifest.pointer("/spec/template/spec/enableServiceLinks"),
            Some(&json!(false)),
            "{} {}",
            manifest["kind"],
            manifest["metadata"]["name"]
        );
    }
}

/// A desk with positions is not killed because its runtime is busy: what asks whether it lives is answered by a thread of its own, and
/// what asks whether it takes requests is not. Two desks would trade twice, and its orders outlive it.
#[test]
fn a_desk_with_positions_is_left_alone() {
    let desk = named("StatefulSet");
    assert_eq!(desk["spec"]["replicas"], 1);
    let kept = desk.pointer("/spec/persistentVolumeClaimRetentionPolicy/whenDeleted");
    assert_eq!(kept, Some(&json!("Retain")));
    let pod = &desk["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let asked = |probe: &str| container[probe].pointer("/httpGet/port").unwrap().as_str();
    assert_eq!(asked("livenessProbe"), Some("metrics"));
    assert_eq!(asked("readinessProbe"), Some("api"));
    assert!(container["lifecycle"]["preStop"].is_object());
    assert!(pod["terminationGracePeriodSeconds"].as_u64() >= Some(30));
    let claims = desk["spec"]["volumeClaimTemplates"].as_array().unwrap();
    let mounts = container["volumeMounts"].as_array().unwrap();
    assert_eq!(claims[0]["metadata"]["name"], mounts[0]["name"]);
    // Its labels stand in one place: the container reads those of the pod.
    for (variable, label) in [
        ("OBS_SERVICE", "service"),
        ("OBS_ENVIRONMENT", "environment"),
        ("OBS_MODE", "mode"),
    ] {
        let variables = container["env"].as_array().unwrap().iter();
        let found = variables
            .into_iter()
            .find(|it| it["name"] == variable)
            .unwrap();
        let path = found.pointer("/valueFrom/fieldRef/fieldPath").unwrap();
        assert_eq!(path, &json!(format!("metadata.labels['{label}']")));
    }
}

/// What finds the desk names what the desk has: its monitor the labels and ports of its service, and the service those of its
/// pods.
#[test]
fn the_monitor_finds_the_service_and_the_service_the_pods() {
    let (desk, service, monitor) = (
        named("StatefulSet"),
        named("Service"),
        named("ServiceMonitor"),
    );
    let holds = |labels: &Value, wanted: &Value| {
        let mut wanted = wanted.as_object().unwrap().iter();
        wanted.all(|(name, value)| &labels[name] == value)
    };
    let pod = &desk["spec"]["template"];
    assert!(holds(
        &pod["metadata"]["labels"],
        &desk["spec"]["selector"]["matchLabels"]
    ));
    assert!(holds(
        &pod["metadata"]["labels"],
        &service["spec"]["selector"]
    ));
    let labels = &service["metadata"]["labels"];
    assert!(holds(labels, &monitor["spec"]["selector"]["matchLabels"]));
    for label in monitor["spec"]["podTargetLabels"].as_array().unwrap() {
        let label = label.as_str().unwrap();
        assert!(pod["metadata"]["labels"][label].is_string(), "{label}");
        assert_eq!(pod["metadata"]["labels"][label], labels[label], "{label}");
    }
    let names = |ports: &Value, key: &str| -> BTreeSet<String> {
        let ports = ports.as_array().unwrap().iter();
        ports
            .map(|port| port[key].as_str().unwrap().to_owned())
            .collect()
    };
    let of_pod = names(&pod["spec"]["containers"][0]["ports"], "name");
    assert!(names(&service["spec"]["ports"], "targetPort").is_subset(&of_pod));
    let of_service = names(&service["spec"]["ports"], "name");
    assert!(names(&monitor["spec"]["endpoints"], "port").is_subset(&of_service));
}
