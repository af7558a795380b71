/* Leases, deployments and the list of members (3.5 and 3.6), for the model checker spin.
 *
 * A TaskManager X that everything happens to; a second one, Y, that nothing happens to: the place
 * where a subtask that X lost runs again; one subtask; the leader processes of the epochs 1, 2, 3.
 * The election is what election.pml shows of it: the next epoch may be committed at any instant,
 * its winner learns of it later or never, and until an older leader hears of it, it goes on.
 *
 * Time. There are no clocks. A lease ends at (when the request that renewed it was sent) + lease. A
 * leader waits until (t0: the later of when it learned that it leads and when it last answered X,
 * in either way) + lease + 1 s. Which ends first depends only on which of the two instants, sent
 * and t0, came first. So the lease and every request under way carry a set `cov` of the leaders
 * whose t0 is later than the instant it was sent; Touch says that t0 is now. A leader's wait cannot
 * end while a lease runs that it covers; when it ends, no request that it covers renews anything any
 * more. A lease may lapse at any instant, which is more than time allows.
 *
 * One process, one loop: each option is one step of one party, all that is under way is a variable.
 * What is lost is never received, what is late is received later. What was left out, and why that
 * loses nothing, stands in README.md, as does the function of the code that each rule is.
 *
 * -DMEMBERS: three replicas, of which two are members at first, and the list changes. Without it,
 * any number of them: all are members. -DMEMBERS -DWHOLE: way 2, pauses and Y beside it. -DGUARDIAN: the guardian of X dies once. -DSPLIT_LOSS: the end
 * of the wait and the last confirmation are two steps. -DBREAK_…: leaves out one rule.
 */
#ifndef EPOCHS
#define EPOCHS 3
#endif

#if defined(MEMBERS) && !defined(WHOLE)
#define SPARING
#endif

#define B(p) (1 << (p))
#define HAS(mask, p) (((mask) & B(p)) != 0)

/* ---- ZooKeeper */
byte epoch;                             /* the number in `epoch` */
bit roster;                             /* roster/X is there … */
bit roster_guardian;                    /* … and names this guardian */

/* ---- leader processes: p leads epoch p + 1; a mask has one bit for each */
#define WON 1                           /* … and does not know it */
#define LEADING 2
#define GONE 3
byte phase[3];
bit paused;                             /* the newest one has lost sight of ZooKeeper */
byte loaded;                            /* mask: has read the roster and heard Y */
#define NOBODY 0
#define AWAITED 1
#define SESSION 2
byte x_is[3];
byte guardian_of_x;                     /* mask: the guardian that it knows of X, 0 or 1 */
#define NOWHERE 0
#define ON_X 1
#define ON_Y 2
byte placed[3];                         /* where it believes the subtask to be */
#define ABSENT 0
#define ENLISTED 1
#define WRITING 2                       /* the commit is under way … */
#define WRITTEN 3                       /* … applied, and not known to be */
byte listed[3];                         /* X's entry in the roster, to this leader */
byte write_names;                       /* mask: the guardian in that commit */
#define WAIT_OVER 1
#define CONFIRMED 2
byte loss[3];
#define ENDED 0
#define REPLYING 1
#define CURRENT 2
byte registration[3];                   /* what has become, at X, of the one it believes in */

/* ---- X */
bit lease;
byte lease_cov;
byte x_epoch;
bit registered;                         /* with the leader of x_epoch */
bit guardian;                           /* the one that lives */
bit guardian_died;
bit attempt_x;                          /* an attempt is alive here */
bit attempt_y;                          /* … or there */
byte y_epoch;

/* ---- under way */
#define SENT 1
#define PROVED 2                        /* a confirmation that began after its arrival succeeded */
#define REPLIED 3
byte reg;                               /* X's registration … */
byte reg_to;                            /* … with this leader */
byte reg_cov;
bit reg_has_attempt;
bit reg_guardian;
byte beat;                              /* the heartbeat to the leader of x_epoch */
byte beat_cov;
bit poll;                               /* way 2 */
bit poll_left;                          /* the newest leader must answer yet */
byte poll_cov;
#ifdef BREAK_REGISTRATIONS_OVERTAKE
bit late;                               /* a registration that X gave up is on its way yet … */
byte late_to;
bit late_has_attempt;
#endif
#define FOR_REPLY 1                     /* behind the reply that makes its registration */
#define FOR_CURRENT 2
#define FOR_ENDED 3
byte deployment[3];                     /* to X from each */

#ifdef MEMBERS
byte members = 3;                       /* `members`: a mask of replicas */
byte host;                              /* the replica of the newest leader process */
byte told;                              /* the list that it tells X */
bit asks_told;                          /* X has said that it asks just that */
bit adding;                             /* its commit that adds 2 is under way */
byte x_members;                         /* whom X asks */
bit x_list_is_told;                     /* … is what its leader tells now */
byte reg_list;
bit reg_list_is_told;
byte beat_list;
bit beat_list_is_told;
#endif

/* ---- the rules that can be left out */
#if defined(BREAK_NO_FENCE)
#define STANDS(p) (phase[p] == LEADING)
#else
#define STANDS(p) (phase[p] == LEADING && epoch == (p) + 1)
#endif
#if defined(BREAK_NO_FENCE) || defined(BREAK_NO_LAST_CONFIRMATION)
#define COUNTS(p) (phase[p] == LEADING)
#else
#define COUNTS(p) STANDS(p)             /* whose wait may come to something */
#endif
#ifdef BREAK_DEPLOY_BEFORE_SETTLED
#define SETTLED(p) HAS(loaded, p)
#else
#define SETTLED(p) (HAS(loaded, p) && x_is[p] != AWAITED)
#endif
#ifdef BREAK_ROSTER_AFTER_DEPLOYMENT
#define MAY_HOLD(p) (x_is[p] == SESSION)
#else
#define MAY_HOLD(p) (x_is[p] == SESSION && listed[p] == ENLISTED)
#endif
#ifdef BREAK_FASTER_THAN_THE_ROSTER
#define SAME_GUARDIAN(p) (1)
#else
#define SAME_GUARDIAN(p) (HAS(guardian_of_x, p) == roster_guardian)
#endif
#ifdef BREAK_ENLISTED_UNDER_ANOTHER_GUARDIAN
#define WROTE_IT(p) (1)
#else
#define WROTE_IT(p) (HAS(write_names, p) == HAS(guardian_of_x, p))
#endif
#ifdef BREAK_UNKNOWN_OUTCOME_IS_FAILURE
#define AFTER_LOST_ANSWER ENLISTED      /* of a deletion */
#else
#define AFTER_LOST_ANSWER ABSENT
#endif
#ifdef BREAK_NO_LAST_CONFIRMATION
#define LAST_CONFIRMATION(p) (phase[p] == LEADING)
#else
#define LAST_CONFIRMATION(p) STANDS(p)
#endif
#ifdef BREAK_LEASE_COUNTED_FROM_THE_ANSWER
#define FROM(cov) 0
#else
#define FROM(cov) (cov)
#endif
#ifdef BREAK_PAUSED_ANSWER_NOT_COUNTED
#define TouchInWay2(p) skip
#else
#define TouchInWay2(p) Touch(p)
#endif
#ifdef BREAK_ANSWERED_WITHOUT_CONFIRMATION
#define PROOF(p) (phase[p] == LEADING)
#else
#define PROOF(p) STANDS(p)
#endif
#ifdef BREAK_DEPLOYMENT_NOT_BOUND
#define OBEYED(p) (deployment[p] != 0 && lease)
#else
#define OBEYED(p) (deployment[p] == FOR_CURRENT && lease)
#endif
#ifdef BREAK_WAY_2_STARTS_A_LEASE
#define Renew2() \
  if :: lease -> lease_cov = lease_cov & FROM(poll_cov) \
     :: else -> lease = 1; lease_cov = FROM(poll_cov) fi
#define AtLapse() skip                  /* and what ran under it goes on */
#else
#define Renew2() lease_cov = lease_cov & FROM(poll_cov)
#define AtLapse() EndRegistration(); DropPoll()
#endif

#ifdef BREAK_LEASE_CARRIED_OVER
#define StartLease() \
  if :: lease -> lease_cov = lease_cov & FROM(reg_cov) \
     :: else -> lease = 1; lease_cov = FIRST_COV fi
#else
#define StartLease() lease = 1; lease_cov = FIRST_COV
#endif

/* States that differ in nothing that can matter are made one (see ForgetWhatIsLate), but not where
 * the rule that is left out is what makes it not matter. */
#if !defined(BREAK_NO_FENCE) && !defined(BREAK_NO_LAST_CONFIRMATION) && \
    !defined(BREAK_DEPLOYMENT_NOT_BOUND) && !defined(BREAK_ANSWERED_WITHOUT_CONFIRMATION)
#define FORGETS
#define Refused(p) \
  if :: phase[p] == GONE -> deployment[p] = 0 :: else -> deployment[p] = FOR_ENDED fi
#else
#define Refused(p) deployment[p] = FOR_ENDED
#endif

#define OnlyFor(condition, statement) if :: condition -> statement :: else fi

#ifdef MEMBERS
#define ClearBeatList() beat_list = 0; beat_list_is_told = 0
#define ClearRegList() reg_list = 0; reg_list_is_told = 0
#define ForgetList(p) OnlyFor(epoch == p + 1, told = 0; asks_told = 0)
/* What leases.pml without MEMBERS assumes: who may lead is asked by an X with an attempt. */
#define AssertAsked() \
  assert(!attempt_x || epoch == 0 || phase[epoch - 1] == GONE || HAS(x_members, host))
#else
#define ClearBeatList() skip
#define ClearRegList() skip
#define ForgetList(p) skip
#define AssertAsked() skip
#endif

inline DropBeat() { beat = 0; beat_cov = 0; ClearBeatList() }
inline DropPoll() { poll = 0; poll_left = 0; poll_cov = 0 }

/* X no longer waits for the answer to its registration: it is dead at birth. */
inline DropReg() {
  if
  :: reg == REPLIED ->
     OnlyFor(registration[reg_to] == REPLYING, registration[reg_to] = ENDED);
     OnlyFor(deployment[reg_to] == FOR_REPLY, Refused(reg_to))
  :: else
  fi;
  reg = 0; reg_to = 0; reg_cov = 0; reg_has_attempt = 0; reg_guardian = 0; ClearRegList()
}

inline EndRegistration() {
  if
  :: registered ->
     OnlyFor(registration[x_epoch - 1] == CURRENT, registration[x_epoch - 1] = ENDED);
     OnlyFor(deployment[x_epoch - 1] == FOR_CURRENT, Refused(x_epoch - 1))
  :: else
  fi;
  registered = 0;
#ifdef MEMBERS
  x_list_is_told = 0;
#endif
  DropBeat()
}

inline Touch(p) {
  if
  :: COUNTS(p) ->
     OnlyFor(reg != 0, reg_cov = reg_cov | B(p));
#ifndef SPARING
     OnlyFor(lease, lease_cov = lease_cov | B(p));
     OnlyFor(beat != 0, beat_cov = beat_cov | B(p));
     OnlyFor(poll, poll_cov = poll_cov | B(p))
#endif
  :: else
  fi
}

inline NeverCounts(p) {
  lease_cov = lease_cov & ~B(p); reg_cov = reg_cov & ~B(p); beat_cov = beat_cov & ~B(p);
  poll_cov = poll_cov & ~B(p)
}

inline Ends(p) {
  OnlyFor((reg == SENT || reg == PROVED) && reg_to == p, DropReg());
  OnlyFor(registered && x_epoch == p + 1 && beat != REPLIED, DropBeat());
  OnlyFor(epoch == p + 1, paused = 0; poll_left = 0);
  phase[p] = GONE; loaded = loaded & ~B(p); x_is[p] = 0; guardian_of_x = guardian_of_x & ~B(p);
  placed[p] = 0; listed[p] = 0; write_names = write_names & ~B(p); loss[p] = 0; ForgetList(p);
  NeverCounts(p);
#ifndef BREAK_DEPLOYMENT_NOT_BOUND
  OnlyFor(deployment[p] == FOR_ENDED, deployment[p] = 0);
#endif
  registration[p] = ENDED
}

/* What a deposed leader may do yet: it commits nothing and confirms nothing any more. */
#define MAY_ANSWER(p) \
  ((reg == PROVED && reg_to == (p)) || \
   (beat == PROVED && registered && x_epoch == (p) + 1 && registration[p] == CURRENT))
#define MAY_DEPLOY_TO_X(p) \
  (HAS(loaded, p) && registration[p] != ENDED && (MAY_HOLD(p) || listed[p] == WRITTEN))
#ifdef SPARING
#define MAY_DEPLOY_TO_Y(p) false
#else
#define MAY_DEPLOY_TO_Y(p) \
  (HAS(loaded, p) && (SETTLED(p) || loss[p] == CONFIRMED) && y_epoch <= (p) + 1)
#endif
/* One that may do none of it is as good as gone. */
#define POWERLESS(p) \
  (phase[p] == LEADING && epoch > (p) + 1 && !MAY_ANSWER(p) && !MAY_DEPLOY_TO_X(p) && \
   !MAY_DEPLOY_TO_Y(p))
#ifdef FORGETS
#define Forget() OnlyFor(POWERLESS(0), Ends(0)); OnlyFor(POWERLESS(1), Ends(1))
#define STALE(p) (epoch > (p) + 1)
#ifdef GUARDIAN
#define ForgetWrite(p) \
  OnlyFor(epoch > (p) + 1 && listed[p] == WRITING, \
          listed[p] = ABSENT; write_names = write_names & ~B(p))
#else
#define ForgetWrite(p) skip
#endif

/* What is under way to a deposed leader, or waits for a commit of his, is as good as lost. */
inline ForgetWhatIsLate() {
  OnlyFor(reg == SENT, DropReg());
  OnlyFor(registered && beat == SENT, DropBeat());
  ForgetWrite(0); ForgetWrite(1)
}
#else
#define Forget() skip
#define STALE(p) false
#define ForgetWhatIsLate() skip
#endif

/* ---- the epoch e = p + 1 and its leader process */
#ifdef MEMBERS
#ifdef BREAK_NON_MEMBER_CONTENDS
#define MAY_CONTEND(n) (1)
#else
#define MAY_CONTEND(n) HAS(members, n)
#endif
#define WIN_AT(p, n) \
:: d_step { epoch == p && p < EPOCHS && MAY_CONTEND(n) -> \
     host = n; printf("replica %d wins epoch %d\n", n, p + 1); Won(p); AssertAsked() }
#define WIN(p) WIN_AT(p, 0) WIN_AT(p, 1) WIN_AT(p, 2)
#define BeginToTell(p) OnlyFor(epoch == p + 1, told = members)
#else
#define WIN(p) \
:: d_step { epoch == p && p < EPOCHS -> printf("epoch %d is won\n", p + 1); Won(p) }
#define BeginToTell(p) skip
#endif

inline Won(p) {
  epoch++; phase[p] = WON; paused = 0; poll_left = 0;
#ifdef MEMBERS
  adding = 0;                           /* what is still under way fails the check of the epoch */
  told = 0; asks_told = 0;
#endif
  ForgetWhatIsLate();
#if !defined(BREAK_NO_FENCE) && !defined(BREAK_NO_LAST_CONFIRMATION)
  lease_cov = 0; reg_cov = 0; beat_cov = 0; poll_cov = 0;
#endif
  Forget()
}

#ifdef SPARING
#define PAUSING(p)
#else
#define PAUSING(p) \
:: d_step { phase[p] == LEADING && epoch == p + 1 && !paused -> \
     printf("leader %d is paused\n", p + 1); paused = 1 } \
:: d_step { phase[p] == LEADING && epoch == p + 1 && paused -> \
     printf("leader %d resumes\n", p + 1); paused = 0 }
#endif

#define PROCESS(p) WIN(p) \
:: d_step { phase[p] == WON -> \
     printf("leader %d learns that it leads\n", p + 1); \
     phase[p] = LEADING; BeginToTell(p); Touch(p) } \
:: d_step { phase[p] == WON -> \
     printf("leader %d dies before it learns that it leads\n", p + 1); \
     OnlyFor(reg == SENT && reg_to == p, DropReg()); phase[p] = GONE } \
:: d_step { phase[p] == LEADING -> printf("leader %d dies or gives up\n", p + 1); Ends(p) } \
PAUSING(p)

/* ---- a leader: who is lost, the roster, deployments */
#ifdef SPARING                          /* that it is over indeed is shown without it */
#define LEASE_MAY_BE_OVER(p) (x_is[p] != NOBODY && loss[p] == 0 && STANDS(p) && !lease)
#else
#define LEASE_MAY_BE_OVER(p) \
  (x_is[p] != NOBODY && loss[p] == 0 && COUNTS(p) && !(lease && HAS(lease_cov, p)))
#endif
#define GUARDIAN_IS_DEAD(p) \
  (x_is[p] != NOBODY && loss[p] == 0 && COUNTS(p) && HAS(guardian_of_x, p) != guardian)

inline LeaseIsOver(p) {
  OnlyFor(HAS(beat_cov, p), DropBeat());
  OnlyFor(HAS(poll_cov, p), DropPoll());
  OnlyFor(HAS(reg_cov, p), DropReg());
  Forget()
}

#ifdef SPLIT_LOSS
#define LOSS(p) \
:: d_step { LEASE_MAY_BE_OVER(p) -> \
     printf("leader %d: the lease of X is over\n", p + 1); LeaseIsOver(p); loss[p] = WAIT_OVER } \
:: d_step { GUARDIAN_IS_DEAD(p) -> \
     printf("leader %d: the guardian of X is dead\n", p + 1); loss[p] = WAIT_OVER } \
:: d_step { loss[p] == WAIT_OVER && LAST_CONFIRMATION(p) -> \
     printf("leader %d confirms itself once more\n", p + 1); loss[p] = CONFIRMED }
#else
#define LOSS(p) \
:: d_step { LEASE_MAY_BE_OVER(p) && LAST_CONFIRMATION(p) -> \
     printf("leader %d: the lease of X is over\n", p + 1); LeaseIsOver(p); loss[p] = CONFIRMED } \
:: d_step { GUARDIAN_IS_DEAD(p) && LAST_CONFIRMATION(p) -> \
     printf("leader %d: the guardian of X is dead\n", p + 1); loss[p] = CONFIRMED }
#endif

inline LoseX(p) {
  x_is[p] = NOBODY; loss[p] = 0; listed[p] = ABSENT;
#ifdef MEMBERS
  OnlyFor(epoch == p + 1, asks_told = 0);
#endif
  OnlyFor(placed[p] == ON_X, placed[p] = NOWHERE);
  guardian_of_x = guardian_of_x & ~B(p); write_names = write_names & ~B(p)
}

#ifdef GUARDIAN
#define ENLIST(p) \
:: d_step { x_is[p] == SESSION && listed[p] == ABSENT && !STALE(p) -> \
     printf("leader %d enlists X\n", p + 1); listed[p] = WRITING; \
     write_names = (write_names & ~B(p)) | (guardian_of_x & B(p)) } \
:: d_step { listed[p] == WRITING && STANDS(p) -> \
     printf("leader %d has written roster/X\n", p + 1); \
     listed[p] = WRITTEN; roster = 1; roster_guardian = HAS(write_names, p) } \
:: d_step { listed[p] == WRITTEN -> \
     printf("leader %d knows that it has\n", p + 1); \
     if :: WROTE_IT(p) -> listed[p] = ENLISTED :: else -> listed[p] = ABSENT fi; \
     write_names = write_names & ~B(p); Forget() }
#else
#define ENLIST(p) \
:: d_step { x_is[p] == SESSION && listed[p] == ABSENT && STANDS(p) -> \
     printf("leader %d has written roster/X\n", p + 1); listed[p] = ENLISTED; roster = 1 }
#endif

#ifdef SPARING
#define DELIST(p)
#define ON_Y_INSTEAD(p)
#else
#define ON_Y_INSTEAD(p) \
:: d_step { SETTLED(p) && placed[p] == NOWHERE && y_epoch <= p + 1 -> \
     printf("leader %d deploys to Y\n", p + 1); \
     assert(!attempt_x && !attempt_y);                                      /* P4, I5 */ \
     placed[p] = ON_Y; attempt_y = 1 }
#define DELIST(p) \
:: d_step { listed[p] == ENLISTED && placed[p] != ON_X && x_is[p] == SESSION && STANDS(p) -> \
     printf("leader %d delists X\n", p + 1); \
     listed[p] = AFTER_LOST_ANSWER; roster = 0; roster_guardian = 0 }
#endif

#define LEADER(p) LOSS(p) ENLIST(p) \
:: d_step { STANDS(p) && !HAS(loaded, p) -> \
     printf("leader %d has heard Y (attempt: %d) and read the roster (X: %d)\n", p + 1, \
            attempt_y, roster); \
     loaded = loaded | B(p); y_epoch = p + 1; \
     OnlyFor(attempt_y, placed[p] = ON_Y); \
     if \
     :: roster && x_is[p] == NOBODY -> \
        x_is[p] = AWAITED; OnlyFor(roster_guardian, guardian_of_x = guardian_of_x | B(p)) \
     :: roster && x_is[p] == SESSION && listed[p] == ABSENT && SAME_GUARDIAN(p) -> \
        listed[p] = ENLISTED \
     :: else \
     fi; \
     Forget() } \
:: d_step { loss[p] == CONFIRMED -> \
     printf("leader %d loses X, which stays on the roster\n", p + 1); LoseX(p); Forget() } \
:: d_step { loss[p] == CONFIRMED && STANDS(p) -> \
     printf("leader %d loses X and delists it\n", p + 1); LoseX(p); \
     roster = 0; roster_guardian = 0 } \
DELIST(p) \
:: d_step { SETTLED(p) && placed[p] == NOWHERE && MAY_HOLD(p) -> \
     printf("leader %d deploys to X\n", p + 1); \
     placed[p] = ON_X; \
     if :: registration[p] == CURRENT -> deployment[p] = FOR_CURRENT \
        :: registration[p] == REPLYING -> deployment[p] = FOR_REPLY \
        :: else -> deployment[p] = FOR_ENDED fi } \
ON_Y_INSTEAD(p) \
:: d_step { phase[p] == LEADING && placed[p] == ON_X && registration[p] == CURRENT && \
            !attempt_x && deployment[p] == 0 -> \
     printf("leader %d is told that the attempt on X has ended\n", p + 1); placed[p] = NOWHERE }

/* ---- the list of members */
#ifdef MEMBERS
#ifdef BREAK_MEMBER_ADDED_UNASKED
#define ALL_ASK(p) HAS(loaded, p)
#else
#define ALL_ASK(p) \
  (HAS(loaded, p) && x_is[p] != AWAITED && (x_is[p] != SESSION || asks_told))
#endif

/* Another list is told: nobody's word for an earlier one counts for it. */
inline Tell(p, list) {
  told = list;
#ifndef BREAK_WORD_FOR_AN_OLDER_LIST_COUNTS
  asks_told = 0;
#endif
  OnlyFor(reg == REPLIED && reg_to == p, reg_list_is_told = 0);
  OnlyFor(registered && x_epoch == p + 1, x_list_is_told = 0; beat_list_is_told = 0)
}

/* Of the three replicas 0 stays, 1 may be removed, and 2 may come and vanish, be added, and take the
 * place of 1 in the same commit. */
#ifdef BREAK_UNKNOWN_ADDITION_NOT_TOLD
#define ADDING(p) false
#else
#define ADDING(p) adding
#endif
#define MEMBER(p) \
:: d_step { STANDS(p) && !HAS(told, 2) && !HAS(members, 2) -> \
     printf("leader %d tells X to ask 2 too\n", p + 1); Tell(p, told | B(2)) } \
:: d_step { STANDS(p) && (told & ~members) != 0 && !ADDING(p) -> \
     printf("leader %d tells X to ask the members alone\n", p + 1); Tell(p, members) } \
:: d_step { STANDS(p) && HAS(told, 2) && !HAS(members, 2) && !adding && ALL_ASK(p) -> \
     printf("leader %d begins to add 2\n", p + 1); adding = 1 } \
:: d_step { adding && epoch == p + 1 -> \
     printf("2 is a member\n"); members = members | B(2); adding = 0 } \
:: d_step { adding && epoch == p + 1 && host != 1 -> \
     printf("2 is a member in the place of 1\n"); \
     members = (members | B(2)) & ~B(1); adding = 0 } \
:: d_step { STANDS(p) && host != 1 && HAS(members, 1) && !adding -> \
     printf("leader %d removes 1\n", p + 1); members = members & ~B(1) }
#define LIST(p) MEMBER(p)

#define BeatSaysList(p) OnlyFor(beat_list_is_told, asks_told = 1)
#define BeatTellsList(p) beat_list = told; beat_list_is_told = 1
#define RegTellsList(p) asks_told = 0; reg_list = told; reg_list_is_told = 1
#define BeatNamesList() beat_list_is_told = x_list_is_told
#ifdef SPARING
#define FIRST_COV 0
#else
#define FIRST_COV FROM(reg_cov)
#endif
#define X_ASKS_THE_NEWEST HAS(x_members, host)
#define AdoptList(list, is_told) x_members = list; x_list_is_told = is_told
#define LISTS_DIFFER (beat_list != x_members)
#else
#define LIST(p)
#define BeatSaysList(p) skip
#define BeatTellsList(p) skip
#define RegTellsList(p) skip
#define BeatNamesList() skip
#define X_ASKS_THE_NEWEST true
#define FIRST_COV FROM(reg_cov)
#define AdoptList(list, is_told) skip
#define LISTS_DIFFER false
#endif

/* ---- X and the leader p */
#ifdef SPARING
#define WAY_2(p)
#else
#define WAY_2(p) \
:: d_step { poll_left && epoch == p + 1 && (!paused || p + 1 > x_epoch) -> \
     printf("way 2: leader %d leads, or knows a newer epoch\n", p + 1); DropPoll() } \
:: d_step { poll_left && epoch == p + 1 && paused && p + 1 <= x_epoch -> \
     printf("way 2: leader %d is paused and does not lead\n", p + 1); \
     TouchInWay2(p); poll_left = 0 }
#endif

inline Accept(p) {
  Touch(p); loss[p] = 0; x_is[p] = SESSION;
  OnlyFor(reg_guardian != HAS(guardian_of_x, p) && listed[p] == ENLISTED, listed[p] = ABSENT);
  OnlyFor(reg_guardian, guardian_of_x = guardian_of_x | B(p));
  if
  :: reg_has_attempt && placed[p] == NOWHERE -> placed[p] = ON_X
  :: !reg_has_attempt && placed[p] == ON_X -> placed[p] = NOWHERE
  :: else
  fi;
  OnlyFor(deployment[p] != 0, deployment[p] = FOR_ENDED);
  registration[p] = REPLYING; reg = REPLIED; reg_has_attempt = 0; reg_guardian = 0;
  RegTellsList(p)
}

inline Answer(p) { Touch(p); loss[p] = 0; beat = REPLIED; BeatTellsList(p) }

#define REG_REACHES(p) (reg == SENT && reg_to == p && PROOF(p))
#define BEAT_REACHES(p) \
  (registered && x_epoch == p + 1 && beat == SENT && registration[p] == CURRENT && PROOF(p))
#ifdef MEMBERS                          /* one step each: to spare states */
#define ACCEPTING(p) \
:: d_step { REG_REACHES(p) -> \
     printf("leader %d accepts the registration\n", p + 1); Accept(p); Forget() }
#define ANSWERING(p) \
:: d_step { BEAT_REACHES(p) -> \
     printf("leader %d answers the heartbeat\n", p + 1); BeatSaysList(p); Answer(p) }
#else
#define ACCEPTING(p) \
:: d_step { REG_REACHES(p) -> \
     printf("the registration reaches leader %d, which confirms itself\n", p + 1); \
     reg = PROVED } \
:: d_step { reg == PROVED && reg_to == p -> \
     printf("leader %d accepts the registration\n", p + 1); Accept(p); Forget() }
#define ANSWERING(p) \
:: d_step { BEAT_REACHES(p) -> \
     printf("the heartbeat reaches leader %d, which confirms itself\n", p + 1); beat = PROVED } \
:: d_step { registered && x_epoch == p + 1 && beat == PROVED && registration[p] == CURRENT -> \
     printf("leader %d answers the heartbeat\n", p + 1); Answer(p); Forget() }
#endif

#define WORKER(p) \
:: d_step { (phase[p] == LEADING || phase[p] == WON) && p + 1 >= x_epoch && \
            !(reg == SENT && reg_to == p) -> \
     printf("X registers with leader %d (attempt: %d)\n", p + 1, attempt_x); \
     EndRegistration(); DropReg(); \
     reg = SENT; reg_to = p; reg_has_attempt = attempt_x; reg_guardian = guardian; \
     OnlyFor(STALE(p), DropReg()); Forget() } \
ACCEPTING(p) \
:: d_step { reg == REPLIED && reg_to == p && p + 1 >= x_epoch -> \
     printf("X is registered with leader %d\n", p + 1); \
     StartLease(); \
     DropPoll(); DropBeat(); \
     x_epoch = p + 1; registered = 1; AdoptList(reg_list, reg_list_is_told); AssertAsked(); \
     OnlyFor(registration[p] == REPLYING, registration[p] = CURRENT); \
     OnlyFor(deployment[p] == FOR_REPLY, deployment[p] = FOR_CURRENT); \
     DropReg(); Forget() } \
ANSWERING(p) \
WAY_2(p) \
:: d_step { OBEYED(p) -> \
     printf("X obeys the deployment of leader %d\n", p + 1); \
     assert(p + 1 >= x_epoch);                                              /* P3, I4 */ \
     assert(!attempt_x && !attempt_y);                                      /* P4, I5 */ \
     attempt_x = 1; deployment[p] = 0; AssertAsked() } \
:: d_step { deployment[p] == FOR_ENDED -> \
     printf("X refuses a deployment of leader %d\n", p + 1); \
     OnlyFor(placed[p] == ON_X, placed[p] = NOWHERE); deployment[p] = 0 }

#ifdef BREAK_REGISTRATIONS_OVERTAKE
#define LATE(p) \
:: d_step { reg == SENT && reg_to == p && !late -> \
     printf("X gives up, its registration is on its way yet\n"); \
     late = 1; late_to = p; late_has_attempt = reg_has_attempt; DropReg() } \
:: d_step { late && late_to == p && STANDS(p) -> \
     printf("leader %d accepts the earlier registration (attempt: %d)\n", p + 1, \
            late_has_attempt); \
     Touch(p); loss[p] = 0; x_is[p] = SESSION; registration[p] = ENDED; \
     OnlyFor(deployment[p] != 0, deployment[p] = FOR_ENDED); \
     OnlyFor(!late_has_attempt && placed[p] == ON_X, placed[p] = NOWHERE); \
     late = 0; late_to = 0; late_has_attempt = 0 }
#else
#define LATE(p)
#endif

#define ATTEMPT_ON_Y_ENDS(p) \
  OnlyFor(phase[p] == LEADING && y_epoch == p + 1 && placed[p] == ON_Y, placed[p] = NOWHERE)

active proctype Cluster() {
  do
  PROCESS(0) PROCESS(1) PROCESS(2)
  LEADER(0) LEADER(1) LEADER(2)
  LIST(0) LIST(1) LIST(2)
  WORKER(0) WORKER(1) WORKER(2)
  LATE(0) LATE(1) LATE(2)
  :: d_step { registered && beat == 0 && !STALE(x_epoch - 1) -> printf("X sends a heartbeat\n");
       beat = SENT; BeatNamesList() }
  :: d_step { beat == REPLIED -> printf("X hears the answer to its heartbeat\n");
       lease_cov = lease_cov & FROM(beat_cov);
       OnlyFor(LISTS_DIFFER, DropPoll());
       AdoptList(beat_list, beat_list_is_told); AssertAsked(); DropBeat() }
  :: d_step { beat != 0 -> printf("a heartbeat or its answer is lost\n"); DropBeat(); Forget() }
#ifndef SPARING
  :: d_step { lease && !poll -> printf("X asks the members\n");
       poll = 1;
       OnlyFor(epoch != 0 && phase[epoch - 1] == LEADING && X_ASKS_THE_NEWEST, poll_left = 1) }
  :: d_step { poll && !poll_left -> printf("way 2 renews the lease\n"); Renew2(); DropPoll() }
#endif
#ifdef BREAK_HEARSAY
  :: d_step { lease && x_epoch < epoch -> printf("X adopts epoch %d by hearsay\n", epoch);
       x_epoch = epoch; registered = 0; DropBeat(); DropPoll() }
#endif
  :: d_step { lease -> printf("the lease is over\n");
       lease = 0; lease_cov = 0; attempt_x = 0; AtLapse(); Forget() }
#ifndef SPARING
  :: d_step { attempt_x -> printf("the attempt on X ends\n"); attempt_x = 0 }
  :: d_step { attempt_y -> printf("the attempt on Y ends\n"); attempt_y = 0;
       ATTEMPT_ON_Y_ENDS(0); ATTEMPT_ON_Y_ENDS(1); ATTEMPT_ON_Y_ENDS(2) }
#endif
#ifdef GUARDIAN
  :: d_step { !guardian_died -> printf("the guardian of X dies, and another is there\n");
       guardian_died = 1; attempt_x = 0; guardian = 1;
#ifndef BREAK_REGISTRATION_OUTLIVES_THE_GUARDIAN
       DropReg(); EndRegistration();
#endif
       Forget() }
#endif
  :: timeout -> assert(epoch == EPOCHS); break         /* nothing is stuck but by the bound */
  od
}
