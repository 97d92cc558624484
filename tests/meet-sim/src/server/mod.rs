//! The listeners: HTTPS for gateways, HTTP for the page and for control.

mod control;
mod interop;
mod page;

use crate::simulator::Shared;
use crate::tls::Identity;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// The listeners that run.
pub(crate) struct Servers {
    handles: [Handle<SocketAddr>; 2],
}

impl Servers {
    /// Begins to serve on `https` and `http`.
    pub(crate) fn start(
        shared: &Arc<Shared>,
        identity: &Identity,
        https: TcpListener,
        http: TcpListener,
    ) -> Self {
        let handles = [Handle::new(), Handle::new()];
        let secure = RustlsConfig::from_config(identity.server.clone());
        let gateways = interop::routes(shared.clone()).into_make_service();
        let people = page::routes(shared.clone()).merge(control::routes(shared.clone())).into_make_service();
        match axum_server::from_tcp_rustls(https, secure) {
            Ok(server) => {
                tokio::spawn(server.handle(handles[0].clone()).serve(gateways));
            }
            Err(error) => tracing::error!(%error, "HTTPS listener"),
        }
        match axum_server::from_tcp(http) {
            Ok(server) => {
                tokio::spawn(server.handle(handles[1].clone()).serve(people));
            }
            Err(error) => tracing::error!(%error, "HTTP listener"),
        }
        Self { handles }
    }

    /// Closes the listeners and their connections.
    pub(crate) fn end(&self) {
        for handle in &self.handles {
            handle.shutdown();
        }
    }
}
