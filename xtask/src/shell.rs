//! Running programs in the workspace.

use std::process::{Command, Stdio};

use crate::error::Error;

/// The cargo that runs this program, in the workspace.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = obs_tests::cargo();
    command.args(arguments);
    command
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    // Under rustup the variable CARGO holds a long path, which says nothing.
    let name = program
        .rsplit(std::path::MAIN_SEPARATOR)
        .next()
        .unwrap_or(&program);
    let arguments = command
        .get_args()
        .map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(name.to_owned())
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs a command to its end, with its output where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<(), Error> {
    let status = command.status().map_err(not_run(command))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Failed {
            command: shown(command),
        })
    }
}

/// Runs a command to its end; what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String, Error> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(not_run(command))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(Error::Failed {
            command: shown(command),
        })
    }
}

/// For `map_err`: the command could not be started.
pub(crate) fn not_run(command: &Command) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let command = shown(command);
    move |source| Error::NotRun { command, source }
}
