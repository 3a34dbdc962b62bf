//! The families of gRPC calls, and the handles that were resolved from them.

use std::sync::Arc;

use obs_core::{
    By, Closed, Counter, Family, Figure, Gauge, Group, Histogram, Keyed, Late, OTHER, Value, Worse,
    buckets,
};

use super::labels::{CodeClass, Direction, RpcCode, RpcMethod, RpcService};

/// What servers and clients of gRPC do.
const RPC: Group = Group::new("gRPC").rank(Group::LIBRARY + 15).figures(&[
    Figure::rate("gRPC requests", ServerMethod::requests),
    Figure::quantiles("gRPC latency", ServerMethod::duration).worse(Worse::Up),
]);

obs_core::families! {
    group RPC;

    /// One method of a server.
    pub(crate) struct ServerMethod(rpc_service: RpcService, method: RpcMethod) {
        /// Calls that have ended, by their status code.
        pub(crate) requests: Late<RpcCode, Counter> = "rpc_server_requests_total" { budget: 2_000 },
        /// Time from the call of the service to the end of the response.
        pub(crate) duration: Late<CodeClass, Histogram> = "rpc_server_request_duration_seconds" {
            buckets: buckets::LATENCY,
            budget: 600,
        },
        /// Messages of requests and responses, counted when the call has ended.
        pub(crate) messages: By<Direction, Counter> = "rpc_server_messages_total" { budget: 1_000 },
    }
}

obs_core::families! {
    group RPC;

    /// One service of a server.
    pub(crate) struct ServerService(rpc_service: RpcService) {
        /// Calls that have not ended. One of a method that is not known yet counts under `other`.
        pub(crate) in_flight: Gauge = "rpc_server_requests_in_flight" { across: obs_core::Across::Sum },
    }
}

obs_core::families! {
    group RPC;

    /// One method that a client calls.
    pub(crate) struct ClientMethod(rpc_service: RpcService, method: RpcMethod) {
        /// Calls that have ended, by their status code.
        pub(crate) requests: Late<RpcCode, Counter> = "rpc_client_requests_total" { budget: 2_000 },
        /// Time from the call of the client to the end of the response.
        pub(crate) duration: Late<CodeClass, Histogram> = "rpc_client_request_duration_seconds" {
            buckets: buckets::LATENCY,
            budget: 600,
        },
        /// Messages of requests and responses, counted when the call has ended.
        pub(crate) messages: By<Direction, Counter> = "rpc_client_messages_total" { budget: 1_000 },
    }
}

obs_core::families! {
    group RPC;

    /// One service that a client calls.
    pub(crate) struct ClientService(rpc_service: RpcService) {
        /// Calls that have not ended.
        pub(crate) in_flight: Gauge = "rpc_client_requests_in_flight" { across: obs_core::Across::Sum },
    }
}

/// The families of this module.
pub(crate) fn families() -> [&'static [Family]; 4] {
    [
        ServerMethod::FAMILIES,
        ServerService::FAMILIES,
        ClientMethod::FAMILIES,
        ClientService::FAMILIES,
    ]
}

/// The calls of a server or of a client.
#[derive(Debug)]
pub(crate) struct Rpc {
    side: Side,
    services: Keyed<RpcService, Service>,
}

/// Which end of a call this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

/// One service.
#[derive(Debug)]
pub(crate) struct Service {
    name: Value<RpcService>,
    in_flight: Gauge,
    methods: Keyed<RpcMethod, Arc<Method>>,
}

/// What calls of one method record to.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) requests: Late<RpcCode, Counter>,
    pub(crate) duration: Late<CodeClass, Histogram>,
    pub(crate) messages: By<Direction, Counter>,
    pub(crate) in_flight: Gauge,
}

impl Rpc {
    pub(crate) fn server() -> Self {
        Self::of(Side::Server, ServerMethod::FAMILIES)
    }

    pub(crate) fn client() -> Self {
        Self::of(Side::Client, ClientMethod::FAMILIES)
    }

    fn of(side: Side, families: &'static [Family]) -> Self {
        Self {
            side,
            services: Keyed::new(families),
        }
    }

    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// What a call of a method that is known records to, found without a lock.
    pub(crate) fn known(&self, service: &str, method: &str) -> Option<Arc<Method>> {
        self.services.get(service)?.methods.get(method).cloned()
    }

    /// What a call of this method records to. A name that is none of gRPC is `other`.
    pub(crate) fn method(&self, service: &str, method: &str) -> Arc<Method> {
        let (service, method) = if is_name(service) && is_name(method) {
            (service, method)
        } else {
            (OTHER, OTHER)
        };
        let known = self.services.of(service, |name| self.service(name));
        let resolve = |name| {
            let method = self.resolve(known.name.clone(), name, &known.in_flight);
            Arc::new(method)
        };
        Arc::clone(known.methods.of(method, resolve))
    }

    /// Makes the series of a method exist: its calls that succeed, and those that alerts count.
    pub(crate) fn prepare(&self, service: &str, method: &str) {
        let method = self.method(service, method);
        self.services.resolve(|| {
            for code in RpcCode::ALL {
                if code.class() != CodeClass::ClientError {
                    let _ = &method.requests[*code];
                }
            }
        });
    }

    fn service(&self, name: Value<RpcService>) -> Service {
        let (in_flight, families) = match self.side {
            Side::Server => {
                let ServerService { in_flight } = ServerService::new(name.clone());
                (in_flight, ServerMethod::FAMILIES)
            }
            Side::Client => {
                let ClientService { in_flight } = ClientService::new(name.clone());
                (in_flight, ClientMethod::FAMILIES)
            }
        };
        Service {
            name,
            in_flight,
            methods: Keyed::new(families),
        }
    }

    fn resolve(
        &self,
        service: Value<RpcService>,
        method: Value<RpcMethod>,
        in_flight: &Gauge,
    ) -> Method {
        let in_flight = in_flight.clone();
        match self.side {
            Side::Server => {
                let ServerMethod {
                    requests,
                    duration,
                    messages,
                } = ServerMethod::new(service, method);
                Method {
                    requests,
                    duration,
                    messages,
                    in_flight,
                }
            }
            Side::Client => {
                let ClientMethod {
                    requests,
                    duration,
                    messages,
                } = ClientMethod::new(service, method);
                Method {
                    requests,
                    duration,
                    messages,
                    in_flight,
                }
            }
        }
    }
}

/// Whether this may be the name of a service or a method.
fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| matches!(byte, b'_' | b'.') || byte.is_ascii_alphanumeric();
    !text.is_empty() && text.bytes().all(is_part)
}
