//! The least of a value over the last seconds: the quickest packet's transit, by which others are judged.
//!
//! Kept for one to two spans, so that it follows a clock that drifts.

/// A windowed minimum of nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Least {
    span: i64,
    began: i64,
    current: Option<i64>,
    before: Option<i64>,
}

impl Least {
    /// Remembers for one to two spans of `span` nanoseconds.
    pub(crate) const fn over(span: i64) -> Self {
        Self { span, began: 0, current: None, before: None }
    }

    pub(crate) fn put(&mut self, now: i64, value: i64) {
        if self.current.is_some() && now.saturating_sub(self.began) > self.span {
            self.before = self.current.take();
        }
        if self.current.is_none() {
            self.began = now;
        }
        self.current = Some(self.current.map_or(value, |least| least.min(value)));
    }

    pub(crate) fn get(&self) -> Option<i64> {
        match (self.current, self.before) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    pub(crate) fn forget(&mut self) {
        *self = Self::over(self.span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_is_remembered_for_one_to_two_spans() {
        let mut least = Least::over(10);
        assert_eq!(least.get(), None);
        least.put(0, 5);
        least.put(9, 8);
        assert_eq!(least.get(), Some(5));
        least.put(11, 7);
        assert_eq!(least.get(), Some(5));
        least.put(22, 9);
        assert_eq!(least.get(), Some(7));
        least.forget();
        assert_eq!(least.get(), None);
    }
}
