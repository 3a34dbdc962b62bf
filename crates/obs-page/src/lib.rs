//! The live page: files that a browser runs, the headers that keep them to themselves, and a history of what figures showed.
//!
//! It is for programs that serve metrics and want people to see them: `obs-exporter` serves it of its own process, and `obstool agent` of
//! all processes whose files it reads. This crate speaks no HTTP itself. It gives [`Response`]s in the types of the `http` crate, which a
//! server of any kind sends, and a program serves under these paths, all of them behind its own questions of who may read:
//!
//! | path | what | from |
//! |---|---|---|
//! | `/` | the document | [`index`] |
//! | `/page/…` | scripts, styles and icons | [`File`] |
//! | `/catalog.json` | what is known of the families | the program, through [`fresh`] |
//! | `/live` | the exposition in the classic text format, with [`RENDERED_AT`] and [`AGE`] | the program, through [`fresh`] |
//! | `/history` | what figures showed before the page was opened; may be missing | [`History`] |
//!
//! Links of the page lead to `/metrics` and `/healthz`, too.
//!
//! ```
//! use http::header::{CONTENT_SECURITY_POLICY, ETAG};
//! use obs_page::{Client, File, Section};
//!
//! let client = Client { headers: &http::HeaderMap::new(), takes_gzip: false };
//! let script = File::at("/page/app.js").unwrap().answer(client);
//! assert!(script.headers().contains_key(ETAG));
//!
//! let sections = [Section { title: "Quoting".into(), families: Vec::new() }];
//! let document = obs_page::index("quoter", &[], &sections, client);
//! assert_eq!(document.headers()[CONTENT_SECURITY_POLICY], obs_page::POLICY);
//! assert!(str::from_utf8(document.body())?.contains("<h1 id=\"service\">quoter</h1>"));
//! # Ok::<(), std::str::Utf8Error>(())
//! ```

mod answer;
mod clock;
mod files;
mod history;
mod index;
mod lines;

pub use crate::answer::{AGE, Client, POLICY, RENDERED_AT, Response, fresh, guarded, gzip};
pub use crate::clock::Clock;
pub use crate::files::File;
pub use crate::history::History;
pub use crate::index::{Row, Section, index};
pub use crate::lines::{Family, Figure, How, Reading, Shows, Source, Value};

/// The examples of the README are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
