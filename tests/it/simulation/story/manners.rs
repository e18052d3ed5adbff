//! How endpoints tell the chain.

use super::super::endpoint::{Manners, ToldFinality};
use super::Story;

impl Story<'_> {
    pub(super) fn change_manners(&mut self) {
        let endpoints = self.net().manners.len();
        let endpoint = self.draw.index(endpoints);
        let draw = &mut self.draw;
        let mut manners = Manners::default();
        if !draw.one_in(4) {
            manners.spoils_one_in = *draw.pick(&[0, 3, 8, 20, 50]);
            manners.omits = draw.one_in(2);
            let may_lie = self.audited || self.liar == Some(endpoint);
            manners.omits_unseen = may_lie && draw.one_in(2);
            manners.forges_receipts = may_lie && draw.one_in(4);
            manners.lacks_receipts = self.audited && draw.one_in(5);
            manners.lag = *draw.pick(&[0, 0, 0, 1, 3, 12]);
            manners.range_limit = draw.one_in(4).then(|| *draw.pick(&[1, 2, 5, 50]));
            manners.log_limit = draw.one_in(4).then(|| *draw.pick(&[0, 3, 20, 100]));
            manners.cuts_at = draw.one_in(4).then_some(100);
            manners.batch_limit = draw.one_in(6).then(|| *draw.pick(&[1, 3, 20]));
            manners.refuses_hashes = draw.one_in(5);
            manners.lacks_l1_origin = draw.one_in(5);
            manners.finality = match draw.below(5) {
                0 => ToldFinality::Behind(draw.below(10)),
                1 => ToldFinality::Nothing,
                _ => ToldFinality::Truth,
            };
            manners.down = draw.one_in(10);
        }
        self.tell(format!("endpoint {endpoint}: {manners:?}"));
        let mut net = self.net.lock().unwrap();
        if self.draw.one_in(8) {
            manners.stale = Some(net.truth.view.clone());
        }
        net.manners[endpoint] = manners;
    }
}
