//! What each request of a process does, and what the process does next.

use super::{ATTEMPTS, At, Case, End, Job, Late, Object, Process, ROUNDS, Says, State, Upload, Why};

impl Process {
    pub(super) fn new(number: u8, job: Job) -> Self {
        let at = match job {
            Job::Own | Job::Create => At::Begin,
            Job::TakeOver | Job::Delete | Job::DeleteInFullBucket => At::Load,
        };
        let (expected, says) = match job {
            Job::Own => (Some(Object { writer: number, says: Says::Pending }), Says::Created),
            _ => (None, Says::Pending),
        };
        Self { job, at, expected, says, uploads: 0, round: 0, attempt: 0 }
    }

    /// The upload of the round in progress.
    pub(super) fn own(&self, number: u8) -> Upload {
        Upload { owner: number, number: self.uploads }
    }

    fn deletes(&self) -> bool {
        matches!(self.job, Job::Delete | Job::DeleteInFullBucket)
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.at, At::End(_))
    }
}

impl State {
    /// A completion arrives. False if its upload is not there.
    pub(super) fn complete(&mut self, upload: Upload, expected: Option<Object>, says: Says) -> bool {
        let Some(at) = self.uploads.iter().position(|open| *open == upload) else { return false };
        self.uploads.remove(at);
        self.wrong |= self.object != expected;
        self.replaced.push(expected);
        self.deleted |= says == Says::Deleting;
        self.object = Some(Object { writer: upload.owner, says });
        true
    }

    pub(super) fn abort(&mut self, upload: Upload) {
        self.uploads.retain(|open| *open != upload);
    }

    pub(super) fn remove(&mut self) {
        self.object = None;
        self.deleted = true;
    }

    fn others(&self, own: Upload) -> Vec<Upload> {
        self.uploads.iter().copied().filter(|open| *open != own).collect()
    }

    pub(super) fn committed(&self) -> impl Iterator<Item = Object> {
        let committed =
            self.processes.iter().enumerate().filter(|(_, process)| process.at == At::End(End::Committed));
        committed.map(|(n, _)| Object { writer: u8::try_from(n).unwrap(), says: Says::Created })
    }
}

impl Case {
    /// Where a swap begins.
    pub(super) fn start(&self) -> At {
        if self.begin_first { At::Begin } else { At::List }
    }

    fn after_begin(&self) -> At {
        if !self.begin_first {
            At::Look
        } else if self.list_first {
            At::List
        } else {
            At::Look
        }
    }

    fn after_aborts(&self) -> At {
        if !self.begin_first {
            At::Begin
        } else if self.list_first {
            At::Look
        } else {
            At::Send
        }
    }

    fn after_look(&self) -> At {
        if self.list_first || !self.begin_first { At::Send } else { At::List }
    }

    /// The swap in progress has succeeded.
    fn done(&self, process: &mut Process, number: u8) -> At {
        match process.says {
            Says::Created => At::End(End::Committed),
            Says::Deleting => At::Remove,
            Says::Pending => {
                process.expected = Some(Object { writer: number, says: Says::Pending });
                self.begin(process, Says::Created)
            }
        }
    }

    fn begin(&self, process: &mut Process, says: Says) -> At {
        process.says = says;
        process.round = 0;
        self.start()
    }

    /// The swap in progress has found another object, or none.
    fn lost(process: &mut Process, there: Option<Object>) -> At {
        if process.deletes() {
            return Self::delete_again(process);
        }
        // A create begins anew if there is none.
        At::End(if process.says == Says::Pending && there.is_none() { End::Left } else { End::Failed })
    }

    fn delete_again(process: &mut Process) -> At {
        process.attempt += 1;
        if process.attempt < ATTEMPTS { At::Load } else { At::End(End::Left) }
    }

    /// A process hears the answer to its request, which is carried out.
    pub(super) fn step(&self, state: &mut State, n: usize) {
        let number = u8::try_from(n).unwrap();
        let mut process = state.processes[n].clone();
        let own = process.own(number);
        let object = state.object;
        let new = Object { writer: number, says: process.says };
        process.at = match process.at.clone() {
            At::Load => match object {
                Some(Object { says: Says::Deleting, .. }) if process.deletes() => At::Remove,
                // One object, which nobody can change any more, goes at once.
                Some(Object { says: Says::Created, writer })
                    if process.deletes() && state.processes[usize::from(writer)].job != Job::TakeOver =>
                {
                    At::Remove
                }
                Some(_) if process.deletes() => {
                    process.expected = object;
                    self.begin(&mut process, Says::Deleting)
                }
                Some(Object { says: Says::Pending, .. }) => {
                    process.expected = object;
                    self.begin(&mut process, Says::Pending)
                }
                _ => At::End(End::Failed),
            },
            At::Begin => {
                state.uploads.push(own);
                self.after_begin()
            }
            At::List if self.begin_first && !state.uploads.contains(&own) => At::Withdraw(Why::Ended),
            At::List => match state.others(own) {
                others if others.is_empty() || !self.abort_others => self.after_aborts(),
                others => At::Abort(others),
            },
            At::Abort(mut others) => {
                let other = others.remove(0);
                if self.await_aborts {
                    state.abort(other);
                } else {
                    state.late.insert(Late::Abort(other));
                }
                if others.is_empty() { self.after_aborts() } else { At::Abort(others) }
            }
            At::Look if object == process.expected || !self.look => self.after_look(),
            At::Look => At::Withdraw(Why::Other),
            At::Send if process.job == Job::DeleteInFullBucket => At::Withdraw(Why::NoRoom),
            At::Send if state.uploads.contains(&own) => At::Complete,
            At::Send => At::Withdraw(Why::Ended),
            At::Complete => {
                if state.complete(own, process.expected, process.says) {
                    self.done(&mut process, number)
                } else {
                    At::Withdraw(Why::Ended)
                }
            }
            At::Withdraw(why) => {
                state.abort(own);
                after_withdrawal(why)
            }
            At::Wait if object != process.expected => At::Resolve { unknown: false },
            At::Wait => {
                process.round += 1;
                if process.round < ROUNDS { self.start() } else { At::End(End::Left) }
            }
            At::Resolve { .. } if object == Some(new) => self.done(&mut process, number),
            At::Resolve { unknown: true } if !self.read_back => self.done(&mut process, number),
            At::Resolve { unknown } if object.is_some() => At::ReadOther { unknown },
            At::Resolve { unknown: true } | At::ReadOther { unknown: true } => At::End(End::Failed),
            At::Resolve { unknown: false } | At::ReadOther { unknown: false } => {
                Self::lost(&mut process, object)
            }
            At::Remove => {
                state.remove();
                At::End(End::Deleted)
            }
            At::LookUnchanged if object == process.expected => At::RemoveUnchanged,
            At::RemoveUnchanged => {
                state.remove();
                if self.end_uploads { At::ListAll } else { At::LookGone }
            }
            At::ListAll if state.uploads.is_empty() => At::LookGone,
            At::ListAll => At::AbortAll(state.uploads.clone()),
            At::AbortAll(mut left) => {
                state.abort(left.remove(0));
                if left.is_empty() { At::LookGone } else { At::AbortAll(left) }
            }
            At::LookGone if object.is_none() => At::End(End::Deleted),
            At::LookUnchanged | At::LookGone => Self::delete_again(&mut process),
            At::End(end) => At::End(end),
        };
        if process.at == self.start() {
            process.uploads += 1;
        }
        state.processes[n] = process;
    }

    /// A process hears nothing, and its request may be carried out later.
    pub(super) fn unanswered(state: &mut State, n: usize) {
        let number = u8::try_from(n).unwrap();
        let mut process = state.processes[n].clone();
        let own = process.own(number);
        let late = match &process.at {
            At::Begin => Some(Late::Begin(own)),
            At::Abort(left) | At::AbortAll(left) => Some(Late::Abort(left[0])),
            At::Complete => Some(Late::Complete(own, process.expected, process.says)),
            At::Withdraw(_) => Some(Late::Abort(own)),
            At::Remove | At::RemoveUnchanged => Some(Late::Remove),
            _ => None,
        };
        state.late.extend(late);
        state.lates += 1;
        process.at = match &process.at {
            At::Begin | At::Wait => At::Resolve { unknown: true },
            At::List | At::Abort(_) | At::Look | At::Send | At::Complete => At::Withdraw(Why::Unknown),
            // Nothing depends on it.
            At::Withdraw(why) => after_withdrawal(*why),
            _ => At::End(End::Failed),
        };
        state.processes[n] = process;
    }
}

fn after_withdrawal(why: Why) -> At {
    match why {
        Why::Ended => At::Wait,
        Why::Other => At::Resolve { unknown: false },
        Why::Unknown => At::Resolve { unknown: true },
        Why::NoRoom => At::LookUnchanged,
    }
}
