//! Which endpoint a path belongs to.

use crate::ProviderError;

/// Templates of paths, in the order they were given. The first that fits names the endpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routes(Vec<Route>);

#[derive(Clone, Debug)]
struct Route {
    template: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug)]
enum Segment {
    Text(String),
    /// `{name}`: one segment, whatever it is.
    Any,
    /// `{*name}`: all that is left.
    Rest,
}

impl Routes {
    pub(crate) fn add(&mut self, template: &str) -> Result<(), ProviderError> {
        let fault = |fault| ProviderError::Route {
            template: template.to_owned(),
            fault,
        };
        let path = template.strip_prefix('/');
        let path = path.ok_or_else(|| fault("a template starts with `/`"))?;
        if template.contains(['?', '#']) {
            return Err(fault(
                "a template is of the path alone; leave out what follows `?` or `#`",
            ));
        }
        let segments: Result<Vec<_>, _> = path.split('/').map(segment).collect();
        let segments = segments.map_err(fault)?;
        let rests = segments
            .iter()
            .filter(|s| matches!(s, Segment::Rest))
            .count();
        if rests > 1 || (rests == 1 && !matches!(segments.last(), Some(Segment::Rest))) {
            return Err(fault(
                "`{*name}` takes all that is left, so it comes once, at the end",
            ));
        }
        self.0.push(Route {
            template: template.to_owned(),
            segments,
        });
        Ok(())
    }

    /// The template that fits the path.
    pub(crate) fn find(&self, path: &str) -> Option<&str> {
        let route = self.0.iter().find(|route| route.fits(path));
        route.map(|route| route.template.as_str())
    }

    pub(crate) fn templates(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|route| route.template.as_str())
    }
}

impl Route {
    fn fits(&self, path: &str) -> bool {
        // Many templates are plain paths, and a path that is the template itself fits whatever its braces mean.
        if self.template == path {
            return true;
        }
        let mut given = path.strip_prefix('/').unwrap_or(path).split('/');
        for segment in &self.segments {
            let fits = match (segment, given.next()) {
                (Segment::Rest, Some(_)) => return true,
                (Segment::Text(text), Some(given)) => text == given,
                (Segment::Any, Some(given)) => !given.is_empty(),
                (_, None) => false,
            };
            if !fits {
                return false;
            }
        }
        given.next().is_none()
    }
}

fn segment(text: &str) -> Result<Segment, &'static str> {
    let inner = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    match inner {
        Some(name) if name.contains(['{', '}']) => Err("a segment has one name in braces"),
        Some("" | "*") => Err("a name in braces is missing"),
        Some(name) if name.starts_with('*') => Ok(Segment::Rest),
        Some(_) => Ok(Segment::Any),
        None if text.contains(['{', '}']) => {
            Err("braces hold a whole segment, as in `/bars/{symbol}`")
        }
        None => Ok(Segment::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(templates: &[&str]) -> Routes {
        let mut routes = Routes::default();
        for template in templates {
            routes.add(template).unwrap();
        }
        routes
    }

    #[test]
    fn the_first_template_that_fits_is_the_endpoint() {
        let routes = routes(&[
            "/v2/clock",
            "/v2/bars/{symbol}",
            "/v2/{what}/{symbol}",
            "/files/{*path}",
        ]);
        for (path, expected) in [
            ("/v2/clock", Some("/v2/clock")),
            ("/v2/bars/AAPL", Some("/v2/bars/{symbol}")),
            ("/v2/trades/AAPL", Some("/v2/{what}/{symbol}")),
            ("/files/a/b/c", Some("/files/{*path}")),
            ("/v2/bars/", None),
            ("/v2/bars/AAPL/x", None),
            ("/v2", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(routes.find(path), expected, "{path}");
        }
    }

    #[test]
    fn a_template_that_cannot_work_says_why() {
        for (template, says) in [
            ("bars", "starts with `/`"),
            ("/bars?key={key}", "leave out"),
            ("/bars-{symbol}", "whole segment"),
            ("/{}", "missing"),
            ("/{*rest}/x", "at the end"),
            ("/{a}{b}", "one name"),
        ] {
            let error = Routes::default().add(template).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
