//! Figures as text. The client library does the writing, in either format.

use std::fmt;
use std::sync::Mutex;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet, prometheus_text, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

/// What a scraper may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format of Prometheus before it.
    Prometheus,
}

impl Format {
    /// By the request's `Accept`: OpenMetrics for whoever knows it, as Prometheus does.
    pub fn of(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    /// What the answer's `Content-Type` says.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }
}

/// A label's name and its value.
pub type Label<'a> = (&'static str, &'a str);

/// One family after the other.
pub struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    /// Something that only grows while the process lives: for each set of labels, how much.
    ///
    /// # Errors
    /// The text takes no more, which does not happen in memory.
    pub fn counter<'l, const N: usize, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([Label<'l>; N], V)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in samples {
            family
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    /// Something that is so now: for each set of labels, how much.
    ///
    /// # Errors
    /// As with [`Self::counter`].
    pub fn gauge<'l, const N: usize, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([Label<'l>; N], V)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in samples {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }
}

/// Writes what `write` puts on a page.
///
/// # Errors
/// None while there is memory.
pub fn write(
    format: Format,
    write: impl FnOnce(&mut Page<'_>) -> fmt::Result + Send + 'static,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Once(Mutex::new(Some(write)))));
    let mut out = String::new();
    match format {
        Format::OpenMetrics => text::encode(&mut out, &registry)?,
        Format::Prometheus => prometheus_text::encode(&mut out, &registry)?,
    }
    Ok(out)
}

/// The library expects collectors that are asked again and again; this one is asked once.
struct Once<F>(Mutex<Option<F>>);

impl<F> fmt::Debug for Once<F> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Once")
    }
}

impl<F> Collector for Once<F>
where
    F: FnOnce(&mut Page<'_>) -> fmt::Result + Send + 'static,
{
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let write = self.0.lock().map_err(|_| fmt::Error)?.take();
        write.map_or(Ok(()), |write| write(&mut Page(encoder)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(out: &mut Page<'_>) -> fmt::Result {
        out.counter("batond_a", "What.", [([("of", "x\\\"\n")], 1u64)])?;
        out.gauge("batond_b_seconds", "When.", [([], 1.5)])
    }

    #[test]
    fn both_formats_are_written() {
        assert_eq!(
            write(Format::OpenMetrics, page).as_deref(),
            Ok("# HELP batond_a What.\n# TYPE batond_a counter\n\
                batond_a_total{of=\"x\\\\\\\"\\n\"} 1\n\
                # HELP batond_b_seconds When.\n# TYPE batond_b_seconds gauge\n\
                batond_b_seconds 1.5\n# EOF\n")
        );
        assert_eq!(
            write(Format::Prometheus, page).as_deref(),
            Ok(
                "# HELP batond_a_total What.\n# TYPE batond_a_total counter\n\
                batond_a_total{of=\"x\\\\\\\"\\n\"} 1\n\
                # HELP batond_b_seconds When.\n# TYPE batond_b_seconds gauge\n\
                batond_b_seconds 1.5\n"
            )
        );
    }

    #[test]
    fn open_metrics_are_for_who_asks() {
        let prometheus = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4";
        assert_eq!(Format::of(Some(prometheus)), Format::OpenMetrics);
        assert_eq!(Format::of(Some("*/*")), Format::Prometheus);
        assert_eq!(Format::of(None), Format::Prometheus);
    }
}
