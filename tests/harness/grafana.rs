//! What Grafana's own types say of dashboards.

use std::path::Path;

use serde_json::json;

use crate::{Error, tools, typescript};

/// The types of a dashboard's file, beside which the dashboards are compiled.
const FILE: &str = include_str!("grafana.ts");

/// What one of [`tools::GRAFANA_VERSIONS`] has to complain of in dashboards, given by name and as JSON: a line each, which
/// begins like `trading.ts(12,9): error`, with the line and the column in the JSON.
pub fn grafana_says(version: &str, dashboards: &[(String, String)]) -> Result<Vec<String>, Error> {
    let types = tools::grafana_types(version)?;
    typescript::says(FILE, &configuration(&types), dashboards)
}

fn configuration(types: &Path) -> String {
    // Grafana's types of panels name the whole by the name of its package, whatever it is called here.
    let json = json!({
        "compilerOptions": {
            "strict": true, "noEmit": true, "target": "es2022", "module": "esnext", "moduleResolution": "bundler", "types": [],
            "paths": {
                "@grafana/schema": [types.join("index.d.ts")],
                "panel/*": [types.join("raw/composable/*/panelcfg/x/types.gen.d.ts")],
            },
        },
        "include": ["*.ts"],
    });
    json.to_string()
}
