/* Election, fencing and early take-over (3.2 to 3.4), for the model checker spin.
 *
 * Three replicas and ZooKeeper: the nodes `epoch` and `leader`, with versions and owners; sessions
 * that are cut, found again or expired; reads of the two nodes one after the other; the multis that
 * elect, resign and commit, each sent, applied (or refused), answered, or of unknown outcome.
 *
 * It begins when replica 0 has just learned that it leads epoch 1. At most FAULTS faults in all (a process dies, a session expires under a live process, a connection
 * breaks, a live leader is taken for silent, a leadership is handed over), in every order, at every
 * instant; EPOCHS epochs. That a dead process's session expires, and that a process starts again, is
 * no fault. One process, one loop: each option is one step of one party.
 *
 * -DBREAK_…: leaves out one rule. README.md says which function of the code each rule is.
 */
#ifndef EPOCHS
#define EPOCHS 3
#endif
#ifndef FAULTS
#define FAULTS 4
#endif

#define B(r) (1 << (r))
#define HAS(mask, r) (((mask) & B(r)) != 0)
#define OnlyFor(condition, statement) if :: condition -> statement :: else fi

/* ---- ZooKeeper */
byte number = 1;                        /* the epoch in `epoch` … */
byte version = 1;                       /* … and the node's version */
byte leader = 1;                        /* the epoch in `leader`; 0: no such node */
byte owner;                             /* of `leader`: the replica … */
byte owner_life;                        /* … and its incarnation */
byte pointer;                           /* whose commit was applied last: an epoch */
byte winner[EPOCHS + 1];                /* of each epoch, + 1: what the assertions know */
byte winner_life[EPOCHS + 1];

/* ---- replicas; a mask has one bit for each */
byte up = 7;
byte life[3];                           /* incarnation */
byte session = 7;                       /* mask: alive, as the servers say */
byte connected = 7;                     /* mask: as the client says */
byte read;                              /* mask: has read `epoch` … */
byte sees_version[3];                   /* … what it read, … */
byte sees_number[3];
byte deposes[3];                        /* … whose `leader` it means to delete; 0: nobody's */
byte granted[3];                        /* the last epoch */
byte leads[3];
byte fence[3];                          /* the version of `epoch` that its commits check */
#define SENT 1
#define APPLIED 2
byte bid[3];                            /* the election multi; what is refused is over at once */
byte commit[3];
byte resign[3];

byte faults;
#define FAULT faults < FAULTS
#define IDLE(r) (HAS(connected, r) && bid[r] == 0 && commit[r] == 0 && resign[r] == 0)

#ifdef BREAK_NO_VERSION_IN_THE_ELECTION
#define BID_STANDS(r) HAS(session, r)
#else
#define BID_STANDS(r) (HAS(session, r) && sees_version[r] == version)
#endif
#ifdef BREAK_NO_FENCE
#define COMMIT_STANDS(r) (1)
#else
#define COMMIT_STANDS(r) (HAS(session, r) && fence[r] == version)
#endif
#ifdef BREAK_RESIGNATION_UNGUARDED
#define RESIGNATION_STANDS(r) (HAS(session, r) && leader != 0)
#else
#define RESIGNATION_STANDS(r) (HAS(session, r) && sees_version[r] == version && leader != 0)
#endif
#ifdef BREAK_GRANTED_BY_NAME
#define OWN(r) (leader != 0 && owner == r)
#else
#define OWN(r) (leader != 0 && owner == r && owner_life == life[r])
#endif
#define OWNER_IS_DEAD (leader != 0 && (!HAS(up, owner) || owner_life != life[owner]))

inline ForgetReads(r) { read = read & ~B(r); sees_version[r] = 0; sees_number[r] = 0; deposes[r] = 0 }
inline NoLeader() { leader = 0; owner = 0; owner_life = 0 }
inline StopLeading(r) { leads[r] = 0; fence[r] = 0 }

inline ApplyBid(r) {
  if
  :: BID_STANDS(r) && (deposes[r] != 0 -> leader != 0 : leader == 0) ->
     assert(deposes[r] == 0 || deposes[r] == leader);        /* it deposes whom it is about */
     assert(sees_number[r] + 1 > number);                                   /* I3 */
     number = sees_number[r] + 1; version++;
     assert(winner[number] == 0);                                           /* one for each */
     winner[number] = r + 1; winner_life[number] = life[r];
     leader = number; owner = r; owner_life = life[r]; bid[r] = APPLIED
  :: else -> bid[r] = 0; ForgetReads(r)
  fi
}
inline ApplyCommit(r) {
  if
  :: COMMIT_STANDS(r) ->
     assert(leads[r] == number && pointer <= leads[r]);                     /* I3, P3 */
     pointer = leads[r]; commit[r] = APPLIED
  :: else -> commit[r] = 0; StopLeading(r)
  fi
}
inline ApplyResignation(r) {
  if
  :: RESIGNATION_STANDS(r) ->
     assert(owner == r && owner_life == life[r]);            /* nobody's node but its own */
     version++; NoLeader()
  :: else
  fi;
  resign[r] = 0; ForgetReads(r)
}

inline Grant(r, e, v) {
  assert(winner[e] == r + 1 && winner_life[e] == life[r]);                  /* it has won */
  assert(e > granted[r]);                                                   /* once */
  leads[r] = e; granted[r] = e; fence[r] = v
}

/* What was under way when the connection was lost. */
#if defined(BREAK_UNKNOWN_ELECTION_IS_SUCCESS)
#define AfterLostBid(r) OnlyFor(bid[r] != 0, Grant(r, sees_number[r] + 1, sees_version[r] + 1))
#elif defined(BREAK_UNKNOWN_ELECTION_IS_FAILURE)
#define AfterLostBid(r) OnlyFor(bid[r] != 0, granted[r] = sees_number[r] + 1)
#else
#define AfterLostBid(r) skip            /* read back: the tree tells */
#endif
#ifdef BREAK_UNKNOWN_ELECTION_IS_FAILURE
#define GIVES_UP_A_REST(r) false
#else
#define GIVES_UP_A_REST(r) true
#endif
#ifdef BREAK_UNKNOWN_COMMIT_IS_FAILURE
#define AfterLostCommit(r) assert(commit[r] != APPLIED)      /* "it failed" */
#else
#define AfterLostCommit(r) skip         /* read back */
#endif

/* A Sync is answered only when nothing of the past is under way. */
#define BACK(r, arrives) \
:: d_step { HAS(up, r) && HAS(session, r) && !HAS(connected, r) && \
            (arrives || bid[r] == SENT || commit[r] == SENT || resign[r] == SENT) -> \
     printf("replica %d is connected again\n", r); \
     if \
     :: arrives -> \
        OnlyFor(bid[r] == SENT, ApplyBid(r)); OnlyFor(commit[r] == SENT, ApplyCommit(r)); \
        OnlyFor(resign[r] == SENT, ApplyResignation(r)) \
     :: else \
     fi; \
     AfterLostBid(r); AfterLostCommit(r); \
     bid[r] = 0; commit[r] = 0; resign[r] = 0; ForgetReads(r); \
     connected = connected | B(r) }

#ifdef BREAK_LEADER_READ_FIRST
byte early[3];                          /* the dead leader that was read before `epoch` */
#define READ_EARLY(r) \
:: d_step { IDLE(r) && leads[r] == 0 && early[r] == 0 && OWNER_IS_DEAD -> \
     printf("replica %d reads leader %d, which is dead\n", r, leader); early[r] = leader } \
:: d_step { IDLE(r) && leads[r] == 0 && early[r] != 0 && number < EPOCHS -> \
     printf("replica %d reads epoch %d and contends\n", r, number); \
     sees_version[r] = version; sees_number[r] = number; deposes[r] = early[r]; early[r] = 0; \
     bid[r] = SENT; read = read & ~B(r) }
#else
#define READ_EARLY(r)
#endif
#define READ(r) \
:: d_step { IDLE(r) && leads[r] == 0 && (!HAS(read, r) || sees_version[r] != version) -> \
     printf("replica %d reads epoch %d\n", r, number); \
     read = read | B(r); sees_version[r] = version; sees_number[r] = number } \
:: d_step { IDLE(r) && HAS(read, r) && number < EPOCHS && !OWN(r) && \
            (leader == 0 || OWNER_IS_DEAD) -> \
     printf("replica %d reads leader %d and contends\n", r, leader); \
     bid[r] = SENT; deposes[r] = leader; read = read & ~B(r) } \
:: d_step { IDLE(r) && HAS(read, r) && number < EPOCHS && !OWN(r) && leader != 0 && \
            !OWNER_IS_DEAD && FAULT -> \
     printf("replica %d takes leader %d for silent and contends\n", r, leader); faults++; \
     bid[r] = SENT; deposes[r] = leader; read = read & ~B(r) } \
:: d_step { IDLE(r) && HAS(read, r) && OWN(r) && leader == sees_number[r] && \
            leader > granted[r] -> \
     printf("replica %d finds that it has won epoch %d\n", r, leader); \
     Grant(r, leader, sees_version[r]); ForgetReads(r) } \
:: d_step { IDLE(r) && HAS(read, r) && OWN(r) && leader <= granted[r] && GIVES_UP_A_REST(r) -> \
     printf("replica %d gives up leader %d\n", r, leader); \
     resign[r] = SENT; read = read & ~B(r) }

#define REPLICA(r) READ(r) READ_EARLY(r) BACK(r, true) BACK(r, false) \
:: d_step { HAS(up, r) && FAULT -> \
     printf("replica %d dies\n", r); faults++; \
     up = up & ~B(r); ForgetReads(r); StopLeading(r); granted[r] = 0; \
     bid[r] = 0; commit[r] = 0; resign[r] = 0; \
     session = session & ~B(r); connected = connected & ~B(r) } \
:: d_step { !HAS(up, r) -> \
     printf("replica %d starts\n", r); up = up | B(r); life[r]++; \
     session = session | B(r); connected = connected | B(r) } \
:: d_step { leader != 0 && owner == r && OWNER_IS_DEAD -> \
     printf("the session of the dead %d expires\n", r); NoLeader() } \
:: d_step { HAS(up, r) && HAS(session, r) && FAULT -> \
     printf("the session of %d expires\n", r); faults++; session = session & ~B(r); \
     connected = connected & ~B(r); \
     OnlyFor(leader != 0 && owner == r && owner_life == life[r], NoLeader()) } \
:: d_step { HAS(connected, r) && FAULT -> \
     printf("replica %d loses its connection\n", r); faults++; connected = connected & ~B(r) } \
:: d_step { HAS(up, r) && !HAS(session, r) -> \
     printf("replica %d learns that its session is over\n", r); \
     StopLeading(r); bid[r] = 0; commit[r] = 0; resign[r] = 0; ForgetReads(r); \
     session = session | B(r); connected = connected | B(r) } \
:: d_step { bid[r] == SENT -> printf("the election multi of %d arrives\n", r); ApplyBid(r) } \
:: d_step { HAS(connected, r) && bid[r] == APPLIED -> \
     printf("replica %d hears that it has won\n", r); \
     Grant(r, sees_number[r] + 1, sees_version[r] + 1); bid[r] = 0; ForgetReads(r) } \
:: d_step { leads[r] != 0 && IDLE(r) && FAULT -> \
     printf("replica %d hands over\n", r); faults++; \
     sees_version[r] = fence[r]; StopLeading(r); resign[r] = SENT } \
:: d_step { resign[r] == SENT -> \
     printf("the resignation of %d arrives\n", r); ApplyResignation(r) } \
:: d_step { IDLE(r) && leads[r] != 0 && !(OWN(r) && leader == leads[r]) -> \
     printf("leader %d sees that it is deposed\n", leads[r]); StopLeading(r) } \
:: d_step { HAS(connected, r) && leads[r] != 0 && commit[r] == 0 && pointer != leads[r] -> \
     printf("leader %d commits\n", leads[r]); commit[r] = SENT } \
:: d_step { commit[r] == SENT -> printf("a commit of %d arrives\n", r); ApplyCommit(r) } \
:: d_step { HAS(connected, r) && commit[r] == APPLIED -> \
     printf("a commit of %d is acknowledged\n", r); commit[r] = 0 }

#define LIVE(r) (leads[r] != 0 && leads[r] == number && OWN(r))

active proctype Cluster() {
  d_step { winner[1] = 1; leads[0] = 1; granted[0] = 1; fence[0] = 1 }
  do
  REPLICA(0) REPLICA(1) REPLICA(2)
  /* When nothing is left to happen, somebody leads (unless there are no more epochs). */
  :: timeout -> assert(number == EPOCHS || LIVE(0) || LIVE(1) || LIVE(2)); break
  od
}
