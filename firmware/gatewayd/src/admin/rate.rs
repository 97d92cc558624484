//! How often one address may ask: a bucket of requests that fills again by the second.

use super::Admin;
use super::access::From;
use super::problem::Sort;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Requests at once.
const BURST: f64 = 500.0;
/// Requests a second, for as long as one likes.
const STEADY: f64 = 100.0;
/// Most addresses that are remembered; then all are forgotten, which favours whoever asks too often for a moment.
const MAX_ADDRESSES: usize = 4_096;

/// What each address has left.
#[derive(Default)]
pub struct Rate(Mutex<HashMap<IpAddr, (f64, Instant)>>);

impl Rate {
    /// Whether one more request may be made now.
    fn takes(&self, now: Instant, from: IpAddr) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_ADDRESSES && !all.contains_key(&from) {
            all.clear();
        }
        let (left, at) = all.entry(from).or_insert((BURST, now));
        let filled = (*left + now.saturating_duration_since(*at).as_secs_f64() * STEADY).min(BURST);
        *at = now;
        *left = if filled >= 1.0 { filled - 1.0 } else { filled };
        filled >= 1.0
    }
}

/// Lets a request through if its address has not asked too often.
pub async fn limit(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let from = request.extensions().get::<From>().map(|From(from)| from.ip());
    match from {
        Some(from) if !admin.rate.takes(Instant::now(), from) => {
            Sort::TooMany.because("this address asks too often; wait a moment").into_response()
        }
        _ => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_address_may_ask_in_bursts_and_others_are_not_held_up_by_it() {
        let (rate, now) = (Rate::default(), Instant::now());
        let (one, other) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let taken = (0..1_000).filter(|_| rate.takes(now, one)).count();
        assert_eq!(taken, 500);
        assert!(rate.takes(now, other));
        let later = now + Duration::from_secs(1);
        assert_eq!((0..1_000).filter(|_| rate.takes(later, one)).count(), 100);
    }
}
