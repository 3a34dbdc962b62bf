//! What Grafana's own types say of dashboards.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::{Error, tools};

/// The types of a dashboard's file, beside which the dashboards are compiled.
const FILE: &str = include_str!("grafana.ts");
/// On the first line, so that what is complained of has the line it has in the dashboard's file.
const DECLARED: &str = "import type { File } from './file'; export const dashboard: File = ";

/// What one of [`tools::GRAFANA_VERSIONS`] has to complain of in dashboards, given by name and as JSON: a line each, which
/// begins like `trading.ts(12,9): error`, with the line and the column in the JSON.
///
/// The dashboards become literals of `TypeScript`, whose compiler knows of types and of properties that no type has.
pub fn grafana_says(version: &str, dashboards: &[(String, String)]) -> Result<Vec<String>, Error> {
    let project = tempfile::tempdir().map_err(Error::system("make a folder"))?;
    let write = |name: &str, text: &str| {
        let path = project.path().join(name);
        std::fs::write(&path, text).map_err(Error::system(format!("write {}", path.display())))
    };
    write("file.ts", FILE)?;
    write(
        "tsconfig.json",
        &configuration(&tools::grafana_types(version)?),
    )?;
    for (name, json) in dashboards {
        write(&format!("{name}.ts"), &format!("{DECLARED}{json}"))?;
    }
    let output = Command::new("node")
        .arg(tools::typescript()?)
        .args(["--pretty", "false"])
        .current_dir(project.path())
        .output()
        .map_err(Error::system("run node"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints: Vec<_> = said.lines().map(str::to_owned).collect();
    if output.status.success() == complaints.is_empty() {
        return Ok(complaints);
    }
    let answer = [output.stdout, output.stderr].concat();
    Err(Error::Nonsense {
        program: "TypeScript",
        answer: String::from_utf8_lossy(&answer).into_owned(),
    })
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
