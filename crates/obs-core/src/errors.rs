//! Errors as metrics: by component, type and severity, and never by message.

use crate::{Alarm, By, Counter, Each, Family, Figure, Group, Kind, Reading, Worse};

crate::label! {
    /// A part of the program, such as `gateway` or `store`.
    pub open Component as "component" up to 100
}

crate::label! {
    /// What kind of error it is: a word of the code, such as a variant's name, never a message.
    pub open ErrorType as "error_type" up to 100
}

crate::label! {
    /// How bad an error is.
    pub enum Severity as "severity" {
        /// Something to look at; the work went on.
        Warning = "warning",
        /// A piece of work failed.
        Error = "error",
        /// The program cannot do what it is there for; somebody has to come.
        Critical = "critical",
    }
}

/// What went wrong.
const ERRORS: Group = Group::new("Errors")
    .rank(Group::SYSTEM + 10)
    .figures(&[Figure::value(
        "Errors",
        Reading::rate(ErrorMetrics::errors).plus(&[PANICS]),
    )
    .facts(&[
        (
            "critical",
            Reading::sum(ErrorMetrics::errors).with(CRITICAL),
        ),
        (
            "error",
            Reading::sum(ErrorMetrics::errors).with(&[("severity", "error")]),
        ),
        (
            "warning",
            Reading::sum(ErrorMetrics::errors).with(&[("severity", "warning")]),
        ),
    ])
    .worse(Worse::Up)
    .alarms(&[
        Alarm::above(Reading::sum(ErrorMetrics::errors).with(CRITICAL), 0.0),
        Alarm::above(Reading::sum(PANICS), 0.0),
    ])
    // Asked before what the program runs on.
    .rank(Group::LIBRARY + 3)]);

const CRITICAL: &[(&str, &str)] = &[("severity", "critical")];

/// They are declared by `obs-health`, which counts them.
const PANICS: &Family = &Family::elsewhere("panics_total", Kind::Counter);

crate::families! {
    group ERRORS;

    /// The errors of one component.
    ///
    /// ```
    /// use obs_core::{CountError, ErrorKind, ErrorMetrics};
    ///
    /// #[derive(Debug, ErrorKind)]
    /// enum GatewayError {
    ///     Refused { code: u16 },
    ///     #[error_kind(severity = "critical")]
    ///     ConnectionLost(std::io::Error),
    /// }
    ///
    /// let test = obs_core::TestRecorder::new();
    /// let errors = test.run(|| ErrorMetrics::new("gateway"));
    /// let result: Result<(), _> = Err(GatewayError::Refused { code: 451 });
    /// let result = result.count_error(&errors); // counts and hands it on
    ///
    /// assert!(result.is_err());
    /// let labels = [("component", "gateway"), ("error_type", "refused"), ("severity", "error")];
    /// assert_eq!(test.counter("errors_total", &labels), Some(1));
    /// ```
    pub struct ErrorMetrics(component: Component) {
        /// Errors, by what kind they are and how bad.
        pub errors: Each<ErrorType, By<Severity, Counter>> = "errors_total",
    }
}

impl ErrorMetrics {
    /// Counts an error by its kind.
    pub fn count(&self, error: &(impl ErrorKind + ?Sized)) {
        self.count_as(error.error_type(), error.severity());
    }

    /// Counts an error that has no type of its own. `error_type` is a word of the code; text that varies would use up
    /// the label's budget and fold into `other`.
    pub fn count_as(&self, error_type: &str, severity: Severity) {
        self.errors.of(error_type)[severity].increment(1);
    }
}

/// An error that knows what kind it is. Derive it for an enum: each variant's type is its name in `snake_case` and its
/// severity [`Severity::Error`], unless `#[error_kind(name = "…", severity = "warning" | "error" | "critical")]` says
/// otherwise. A variant with `#[error_kind(inner)]` hands the question on to the error it holds.
pub trait ErrorKind {
    /// The value of the label `error_type`: a word, the same for all errors of the kind.
    fn error_type(&self) -> &'static str;

    /// How bad it is.
    fn severity(&self) -> Severity {
        Severity::Error
    }
}

impl<E: ErrorKind + ?Sized> ErrorKind for &E {
    fn error_type(&self) -> &'static str {
        (**self).error_type()
    }

    fn severity(&self) -> Severity {
        (**self).severity()
    }
}

impl<E: ErrorKind + ?Sized> ErrorKind for Box<E> {
    fn error_type(&self) -> &'static str {
        (**self).error_type()
    }

    fn severity(&self) -> Severity {
        (**self).severity()
    }
}

/// The kind of the operating system's errors: `not_found`, `timed_out` and the like.
impl ErrorKind for std::io::Error {
    fn error_type(&self) -> &'static str {
        use std::io::ErrorKind as Io;
        match self.kind() {
            Io::NotFound => "not_found",
            Io::PermissionDenied => "permission_denied",
            Io::ConnectionRefused => "connection_refused",
            Io::ConnectionReset => "connection_reset",
            Io::ConnectionAborted => "connection_aborted",
            Io::NotConnected => "not_connected",
            Io::AddrInUse => "address_in_use",
            Io::BrokenPipe => "broken_pipe",
            Io::AlreadyExists => "already_exists",
            Io::InvalidInput => "invalid_input",
            Io::InvalidData => "invalid_data",
            Io::TimedOut => "timed_out",
            Io::WriteZero => "write_zero",
            Io::StorageFull => "storage_full",
            Io::QuotaExceeded => "quota_exceeded",
            Io::FileTooLarge => "file_too_large",
            Io::ReadOnlyFilesystem => "read_only_filesystem",
            Io::NotADirectory => "not_a_directory",
            Io::IsADirectory => "is_a_directory",
            Io::Interrupted => "interrupted",
            Io::UnexpectedEof => "unexpected_eof",
            Io::OutOfMemory => "out_of_memory",
            _ => "io",
        }
    }
}

/// Counts the error of a result on its way.
pub trait CountError {
    /// Counts the error, if it is one, and hands the result on.
    #[must_use = "the result still has to be handled"]
    fn count_error(self, component: &ErrorMetrics) -> Self;
}

impl<T, E: ErrorKind> CountError for Result<T, E> {
    fn count_error(self, component: &ErrorMetrics) -> Self {
        if let Err(error) = &self {
            component.count(error);
        }
        self
    }
}
