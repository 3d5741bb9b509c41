//! Random histories against the guarantees themselves: nothing lost, nothing twice, in order, within
//! the quotas, whoever comes, goes or dies, controllers included.
