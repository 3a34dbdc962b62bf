//! The variables that Kubernetes and Docker set for each service: one called `obs-grafana` begins as ours do.

use std::ffi::OsStr;
use std::net::SocketAddr;

/// Whether a variable is one of a service link, as Kubernetes makes them for the services of a namespace after Docker's links:
///
/// ```text
/// OBS_GRAFANA_SERVICE_HOST, OBS_GRAFANA_SERVICE_PORT, OBS_GRAFANA_SERVICE_PORT_HTTP
/// OBS_GRAFANA_PORT, OBS_GRAFANA_PORT_3000_TCP, OBS_GRAFANA_PORT_3000_TCP_{PROTO,PORT,ADDR}
/// ```
///
/// The bare `…_PORT` of a link is a URL. One that holds a port or an address was meant for `OBS_LISTEN`.
pub(super) fn is_service_link(name: &str, value: &OsStr) -> bool {
    let is_bare_port =
        name.ends_with("_PORT") && !name.ends_with("_SERVICE_PORT") && !is_link_of_port(name);
    has_form(name) && !(is_bare_port && is_to_listen_on(value))
}

/// Whether the name alone is that of a link.
fn has_form(name: &str) -> bool {
    let named_port = || name.rsplit_once("_SERVICE_PORT_");
    is_link_of_port(name)
        || ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"]
            .iter()
            .any(|suffix| name.strip_suffix(suffix).is_some_and(is_service))
        || named_port().is_some_and(|(service, port)| is_service(service) && is_service(port))
}

/// Whether it is `<service>_PORT_<number>_<protocol>`, or a part of that.
fn is_link_of_port(name: &str) -> bool {
    let whole = ["_PROTO", "_PORT", "_ADDR"]
        .iter()
        .find_map(|part| name.strip_suffix(part))
        .unwrap_or(name);
    let port = ["_TCP", "_UDP", "_SCTP"]
        .iter()
        .find_map(|protocol| whole.strip_suffix(protocol));
    let Some((service, port)) = port.and_then(|port| port.rsplit_once("_PORT_")) else {
        return false;
    };
    is_service(service) && port.parse::<u16>().is_ok()
}

/// Whether it can be the name of a service or of a port of one, in capitals.
fn is_service(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_part)
}

fn is_to_listen_on(value: &OsStr) -> bool {
    let value = value.to_string_lossy();
    let port = value.trim_start_matches(':');
    port.parse::<u16>().is_ok() || value.parse::<SocketAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::variables::VARIABLES;

    #[test]
    fn the_variables_of_a_service_are_links() {
        // As kubelet sets them for a service `obs-grafana` with a port called `http-web`, and for others.
        for (name, value) in [
            ("OBS_GRAFANA_SERVICE_HOST", "10.96.0.12"),
            ("OBS_GRAFANA_SERVICE_PORT", "3000"),
            ("OBS_GRAFANA_SERVICE_PORT_HTTP_WEB", "3000"),
            ("OBS_GRAFANA_PORT", "tcp://10.96.0.12:3000"),
            ("OBS_GRAFANA_PORT_3000_TCP", "tcp://10.96.0.12:3000"),
            ("OBS_GRAFANA_PORT_3000_TCP_PROTO", "tcp"),
            ("OBS_GRAFANA_PORT_3000_TCP_PORT", "3000"),
            ("OBS_GRAFANA_PORT_3000_TCP_ADDR", "10.96.0.12"),
            ("OBS_DNS_PORT_53_UDP", "udp://10.96.0.10:53"),
            ("OBS_DNS_PORT_53_UDP_ADDR", "10.96.0.10"),
            ("OBS_SIGNALLING_PORT_36412_SCTP_PORT", "36412"),
            ("OBS_PORT_PORT_80_TCP", "tcp://10.96.0.13:80"),
            ("OBS_SERVICE_HOST", "10.96.0.14"),
            ("OBS_PORT", "tcp://10.96.0.14:80"),
        ] {
            assert!(is_service_link(name, OsStr::new(value)), "{name}={value}");
        }
    }

    #[test]
    fn nothing_else_is_a_link() {
        for name in [
            "OBS_SERVICE",
            "OBS_LISTEN",
            "OBS_GRAFANA",
            "OBS_GRAFANA_HOST",
            "OBS_GRAFANA_PORT_TCP",
            "OBS_GRAFANA_PORT_HTTP_TCP",
            "OBS_GRAFANA_PORT_3000",
            "OBS_GRAFANA_PORT_99999_TCP",
            "OBS_GRAFANA_PORT_3000_HTTP",
            "OBS_GRAFANA_PORT_3000_TCP_HOST",
            "OBS_GRAFANA_SERVICE_PORT_",
            "OBS_GRAFANA_SERVICE_HOSTS",
            "OBS_grafana_PORT_3000_TCP",
        ] {
            assert!(!has_form(name), "{name}");
        }
    }

    #[test]
    fn a_port_to_listen_on_is_no_link() {
        for value in ["9464", ":9464", "0.0.0.0:9464", "[::1]:9464"] {
            assert!(!is_service_link("OBS_PORT", OsStr::new(value)), "{value}");
        }
    }

    #[test]
    fn no_variable_of_ours_has_that_form() {
        for variable in &VARIABLES {
            assert!(!has_form(variable.name), "{}", variable.name);
        }
    }
}
