//! The HTTP server.

use std::net::SocketAddr;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use metrics_exporter_prometheus::PrometheusHandle;
use router::handle::Handle;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::token::Token;

/// A bound server.
#[derive(Debug)]
pub struct Server {
    socket: TcpListener,
}

impl Server {
    /// Binds the console's address.
    pub async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        Ok(Self { socket: TcpListener::bind(address).await? })
    }

    /// The bound address, with the port that the system chose when 0 was asked for.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until stopped.
    pub async fn run(
        self,
        engine: Handle,
        token: Token,
        metrics: PrometheusHandle,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        let routes = routes(engine, token, metrics);
        // Followers hold their connection for ever: what is open when we stop is cut.
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            served = axum::serve(self.socket, routes) => served,
        }
    }
}

fn routes(engine: Handle, token: Token, metrics: PrometheusHandle) -> Router {
    let guarded = api::routes().layer(middleware::from_fn_with_state(token, guard));
    Router::new()
        .nest("/api/v1", guarded)
        .route("/livez", routing::get(|| async { "ok\n" }))
        .route("/readyz", routing::get(readyz))
        .route("/metrics", routing::get(move || std::future::ready(text(&metrics))))
        .with_state(engine)
}

fn text(metrics: &PrometheusHandle) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render())
}

async fn readyz(State(engine): State<Handle>) -> Response {
    match engine.ready() {
        Ok(how) => format!("{how}\n").into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn guard(State(token): State<Token>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION);
    let given = given.and_then(|value| value.to_str().ok());
    match given.and_then(|value| value.strip_prefix("Bearer ")) {
        Some(given) if token.matches(given) => next.run(request).await,
        _ => {
            let hint = "this needs the token in the engine's data folder, file api.token, as Authorization: Bearer";
            (StatusCode::UNAUTHORIZED, Json(json!({ "error": hint }))).into_response()
        }
    }
}
