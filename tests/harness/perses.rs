//! What Perses' own types say of dashboards.

use serde_json::json;

use crate::{Error, tools, typescript};

/// The types of a dashboard's file, beside which the dashboards are compiled.
const FILE: &str = include_str!("perses.ts");

/// What Perses' types have to complain of in dashboards, given by name and as JSON: a line each, which begins like
/// `trading.ts(12,9): error`, with the line and the column in the JSON.
pub fn perses_says(dashboards: &[(String, String)]) -> Result<Vec<String>, Error> {
    let types = tools::perses_types()?.join("@perses-dev/*");
    let configuration = json!({
        "compilerOptions": {
            "strict": true, "noEmit": true, "target": "es2022", "module": "esnext", "moduleResolution": "bundler", "types": [],
            // The plugins' types name those of what draws them, which is not fetched.
            "skipLibCheck": true,
            "paths": { "@perses-dev/*": [types] },
        },
        "include": ["*.ts"],
    });
    typescript::says(FILE, &configuration.to_string(), dashboards)
}
