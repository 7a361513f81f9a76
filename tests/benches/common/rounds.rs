//! Ways that take turns, round by round, so that whatever else the machine does meets all of them alike. Two ways are
//! compared within a round; only the median of that over the rounds means anything.

/// What each way took in each round, in nanoseconds.
pub(crate) struct Rounds {
    /// One list a way.
    times: Vec<Vec<f64>>,
}

/// How two ways compare: the median over the rounds, and the quartiles.
#[derive(Clone, Copy)]
pub(crate) struct Ratio {
    pub(crate) lower: f64,
    pub(crate) median: f64,
    pub(crate) upper: f64,
}

impl Rounds {
    /// `turn` says how long a way took for its work.
    pub(crate) fn run<W>(rounds: usize, ways: &mut [W], mut turn: impl FnMut(&mut W) -> f64) -> Self {
        let mut times = vec![Vec::with_capacity(rounds); ways.len()];
        // One more than asked for: the first one warms caches and windows up.
        for round in 0..=rounds {
            for (way, times) in ways.iter_mut().zip(&mut times) {
                let time = turn(way);
                if round > 0 {
                    times.push(time);
                }
            }
        }
        Self { times }
    }

    /// The median of a way, in nanoseconds.
    pub(crate) fn median(&self, way: usize) -> f64 {
        quantile(self.times[way].clone(), 2)
    }

    /// What one way took for each of what another took.
    pub(crate) fn ratio(&self, way: usize, reference: usize) -> Ratio {
        let pairs = self.times[way].iter().zip(&self.times[reference]);
        let ratios: Vec<f64> = pairs.map(|(time, reference)| time / reference).collect();
        let quartile = |quarters| quantile(ratios.clone(), quarters);
        Ratio { lower: quartile(1), median: quartile(2), upper: quartile(3) }
    }
}

fn quantile(mut values: Vec<f64>, quarters: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * quarters / 4]
}
