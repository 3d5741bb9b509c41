//! A lock that costs nearly nothing to the thread that nearly always takes it.

use crate::fence;
use crate::sync::{AtomicBool, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, this_thread};
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

/// So many times in a row one thread takes the lock until it is biased towards that thread, at first.
const FIRST_STREAK: u32 = if cfg!(loom) { 1 } else { 32 };
/// The number doubles each time that another thread has to take the bias back, up to this.
const LONGEST_STREAK: u32 = 1 << 20;

/// A mutual exclusion that becomes biased towards a thread that takes it again and again: then taking and leaving it
/// is a few plain loads and stores, without an atomic read-modify-write or a fence. Those would wait for what was
/// written to shared memory just before. Another thread that takes the lock ends the bias with a
/// [process barrier](crate::set_process_barrier), in a microsecond or so; without such a barrier, the lock is an
/// ordinary mutex.
///
/// Poisoning is not a thing here. Source: K. Russell, D. Detlefs, "Eliminating synchronization-related atomic
/// operations with biased locking and bulk rebiasing" (2006), with the barrier in the place of their safepoints.
pub struct BiasedMutex<T> {
    /// Whom the lock is biased towards, or 0. Written while `mutex` is held.
    owner: AtomicUsize,
    /// The owner is in.
    inside: AtomicBool,
    mutex: Mutex<Habit>,
    /// For who waits until the owner is out.
    gate: Mutex<()>,
    left: Condvar,
    value: UnsafeCell<T>,
}

// SAFETY: the value is handed out to one thread at a time, by `lock` and `try_lock`.
unsafe impl<T: Send> Send for BiasedMutex<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for BiasedMutex<T> {}

/// Who has taken the lock lately.
struct Habit {
    last: usize,
    streak: u32,
    needed: u32,
}

impl<T> BiasedMutex<T> {
    /// An open lock, biased towards nobody.
    pub fn new(value: T) -> Self {
        Self {
            owner: AtomicUsize::new(0),
            inside: AtomicBool::new(false),
            mutex: Mutex::new(Habit {
                last: 0,
                streak: 0,
                needed: FIRST_STREAK,
            }),
            gate: Mutex::new(()),
            left: Condvar::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Waits until nobody else has the value.
    ///
    /// # Panics
    ///
    /// If this thread has it already, or blocks for ever.
    #[inline]
    pub fn lock(&self) -> BiasedGuard<'_, T> {
        let me = this_thread();
        if self.owner.load(Ordering::Relaxed) == me {
            assert!(
                !self.inside.load(Ordering::Relaxed),
                "the lock is taken twice by one thread"
            );
            if self.enter(me) {
                return self.guard(me, None);
            }
        }
        self.lock_exclusively(me)
    }

    /// The value, unless somebody has it.
    #[inline]
    pub fn try_lock(&self) -> Option<BiasedGuard<'_, T>> {
        let me = this_thread();
        if self.owner.load(Ordering::Relaxed) == me {
            if self.inside.load(Ordering::Relaxed) {
                return None;
            }
            if self.enter(me) {
                return Some(self.guard(me, None));
            }
        }
        self.try_lock_exclusively(me)
    }

    /// As [`lock`](Self::lock), for the time of a call. Faster: there is no guard to be moved about.
    ///
    /// # Panics
    ///
    /// As [`lock`](Self::lock).
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        match self.stay() {
            Some(mut stay) => f(&mut stay),
            None => self.with_guard(f),
        }
    }

    /// As [`try_lock`](Self::try_lock), for the time of a call.
    #[inline]
    pub fn try_with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        match self.stay() {
            Some(mut stay) => Some(f(&mut stay)),
            None => self.try_with_guard(f),
        }
    }

    #[cold]
    fn with_guard<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.lock())
    }

    #[cold]
    fn try_with_guard<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.try_lock().map(|mut value| f(&mut value))
    }

    /// The value, if the lock is biased towards this thread. The shortest way in: it can be inlined where it is used.
    #[inline(always)]
    pub fn stay(&self) -> Option<BiasedStay<'_, T>> {
        let me = this_thread();
        let mine = self.owner.load(Ordering::Relaxed) == me;
        let entered = mine && !self.inside.load(Ordering::Relaxed) && self.enter(me);
        entered.then(|| BiasedStay {
            lock: self,
            me,
            not_send: PhantomData,
        })
    }

    /// The owner's way in. False: it is the owner no more.
    #[inline]
    fn enter(&self, me: usize) -> bool {
        self.inside.store(true, Ordering::Relaxed);
        // Against the fence in `unbias`: we see that the bias is gone, or are seen inside.
        fence::light(true);
        if self.owner.load(Ordering::Acquire) == me {
            return true;
        }
        self.leave(me);
        false
    }

    /// The owner's way out.
    #[inline]
    fn leave(&self, me: usize) {
        self.inside.store(false, Ordering::Release);
        // Against the fence in `unbias`: we see that somebody waits, or are seen outside.
        fence::light(true);
        if self.owner.load(Ordering::Relaxed) != me {
            self.tell_that_we_left();
        }
    }

    #[cold]
    fn tell_that_we_left(&self) {
        drop(self.gate.lock().unwrap_or_else(PoisonError::into_inner));
        self.left.notify_all();
    }

    #[cold]
    fn lock_exclusively(&self, me: usize) -> BiasedGuard<'_, T> {
        let mut habit = self.mutex.lock().unwrap_or_else(PoisonError::into_inner);
        if self.unbias(&mut habit) {
            let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
            while self.inside.load(Ordering::Acquire) {
                gate = self.left.wait(gate).unwrap_or_else(PoisonError::into_inner);
            }
        }
        habit.note(me);
        self.guard(me, Some(habit))
    }

    #[cold]
    fn try_lock_exclusively(&self, me: usize) -> Option<BiasedGuard<'_, T>> {
        let mut habit = match self.mutex.try_lock() {
            Ok(habit) => habit,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => return None,
        };
        if self.unbias(&mut habit) {
            return None;
        }
        habit.note(me);
        Some(self.guard(me, Some(habit)))
    }

    /// Takes the bias away. True: its owner was still in.
    fn unbias(&self, habit: &mut Habit) -> bool {
        if self.owner.load(Ordering::Relaxed) != 0 {
            self.owner.store(0, Ordering::Relaxed);
            habit.needed = (habit.needed * 2).min(LONGEST_STREAK);
            fence::heavy();
        }
        self.inside.load(Ordering::Acquire)
    }

    #[inline]
    fn guard<'a>(&'a self, me: usize, habit: Option<MutexGuard<'a, Habit>>) -> BiasedGuard<'a, T> {
        BiasedGuard {
            lock: self,
            me,
            habit,
            not_send: PhantomData,
        }
    }
}

impl Habit {
    fn note(&mut self, me: usize) {
        self.streak = if self.last == me {
            self.streak.saturating_add(1)
        } else {
            0
        };
        self.last = me;
    }
}

impl<T: Default> Default for BiasedMutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// The value of a [`BiasedMutex`] that is biased towards this thread. The owner is in until this is dropped, also when
/// the thread panics.
pub struct BiasedStay<'a, T> {
    lock: &'a BiasedMutex<T>,
    me: usize,
    not_send: PhantomData<*mut ()>,
}

impl<T> Deref for BiasedStay<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: this thread has the lock as long as the stay lives.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for BiasedStay<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this thread has the lock as long as the stay lives, and the stay is borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for BiasedStay<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.lock.leave(self.me);
    }
}

/// The value of a [`BiasedMutex`], until dropped. Stays in its thread.
pub struct BiasedGuard<'a, T> {
    lock: &'a BiasedMutex<T>,
    me: usize,
    /// Held if the lock was not biased towards this thread.
    habit: Option<MutexGuard<'a, Habit>>,
    not_send: PhantomData<*mut ()>,
}

impl<T> Deref for BiasedGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this thread has the lock as long as the guard lives.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for BiasedGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this thread has the lock as long as the guard lives, and the guard is borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for BiasedGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        match &self.habit {
            None => self.lock.leave(self.me),
            Some(habit) => {
                if habit.streak >= habit.needed && fence::is_reached() {
                    self.lock.owner.store(self.me, Ordering::Relaxed);
                }
            }
        }
    }
}
