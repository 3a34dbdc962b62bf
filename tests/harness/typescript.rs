//! What the compiler of `TypeScript` says of JSON that has to be of a type: it knows of types, and of properties that no type has.

use std::process::Command;

use crate::{Error, tools};

/// On the first line, so that what is complained of has the line it has in the file.
const DECLARED: &str = "import type { File } from './file'; export const file: File = ";

/// What it has to complain of in files, given by name and as JSON, each of which becomes a literal of the type `File` of the module
/// `types`: a line each, which begins like `trading.ts(12,9): error`, with the line and the column in the JSON.
pub(crate) fn says(
    types: &str,
    configuration: &str,
    files: &[(String, String)],
) -> Result<Vec<String>, Error> {
    let project = tempfile::tempdir().map_err(Error::system("make a folder"))?;
    let write = |name: &str, text: &str| {
        let path = project.path().join(name);
        std::fs::write(&path, text).map_err(Error::system(format!("write {}", path.display())))
    };
    write("file.ts", types)?;
    write("tsconfig.json", configuration)?;
    for (name, json) in files {
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
