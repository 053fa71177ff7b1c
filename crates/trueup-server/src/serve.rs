//! `/metrics`, `/healthz` and `/readyz`.

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::exposition;
use crate::figures::Figures;

/// Gives the figures of now.
pub type Source = Arc<dyn Fn() -> Figures + Send + Sync>;

/// Serves until cancelled; requests that are being answered then are finished.
pub async fn serve(listener: TcpListener, source: Source, ended: CancellationToken) -> std::io::Result<()> {
    let served = axum::serve(listener, routes(source));
    served.with_graceful_shutdown(async move { ended.cancelled().await }).await
}

fn routes(source: Source) -> Router {
    let metrics = source.clone();
    let ready = source;
    Router::new()
        .route("/metrics", get(async move || answer_metrics(&metrics())))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(async move || answer_ready(&ready())))
}

fn answer_metrics(figures: &Figures) -> Response {
    ([(header::CONTENT_TYPE, exposition::CONTENT_TYPE)], exposition::text(figures)).into_response()
}

/// One that waits for the Lease is ready to take over.
fn answer_ready(figures: &Figures) -> Response {
    if figures.ready {
        let role = if figures.leading { "ok\n" } else { "ok: another controller holds the Lease\n" };
        return role.into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "the cluster is not known yet\n").into_response()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn health_readiness_and_metrics_are_served_until_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ended = CancellationToken::new();
        let ready = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let shown = ready.clone();
        let source: Source = Arc::new(move || Figures {
            ready: shown.load(std::sync::atomic::Ordering::SeqCst),
            ..Figures::default()
        });
        let server = tokio::spawn(serve(listener, source, ended.clone()));
        assert!(ask(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 503"));
        ready.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(ask(address, "/readyz").await.contains("another controller"));
        assert!(ask(address, "/metrics").await.contains("# TYPE argocd_app_info gauge"));
        ended.cancel();
        server.await.unwrap().unwrap();
    }
}
