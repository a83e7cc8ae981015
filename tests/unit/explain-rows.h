/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What test-explain.c expects: one row for each of its make functions. */
{ make_enough,
  "'web-1' holds 490 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "That is enough: it is given more once half its buffer is gone, below 440 MiB.\n"
  "dynmem has not changed it since 11:00:00.\n"
  "It would grow if its demand rose above 454 MiB.\n"
  "It would shrink if another guest lacked memory, though not below 256 MiB." },
{ make_idle,
  "'web-1' holds 800 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "It holds 320 MiB more than its target: memory nobody needs stays where it is.\n"
  "Last, at 11:50:00 it was asked to grow from 500 MiB to 800 MiB, as it held less "
  "than its demand and a safety margin.\n"
  "In the same minute 'web-3' was asked for 256 MiB and 'db' was offered 64 MiB.\n"
  "It would grow if its demand rose above 454 MiB.\n"
  "It would shrink if another guest lacked memory, if less than 102 MiB of the pool "
  "were free, or once it held more than its target for 300 s." },
{ make_plugged,
  "'web-1' holds 800 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "It holds 320 MiB more than its target: memory nobody needs stays where it is.\n"
  "Last, at 11:50:00 it was asked to have 800 MiB of virtio-mem plugged instead of 500 "
  "MiB, as it held less than its demand and a safety margin.\n"
  "In the same minute 'web-3' was asked for 256 MiB and 'db' was offered 64 MiB.\n"
  "It would grow if its demand rose above 454 MiB.\n"
  "It would shrink if another guest lacked memory, if less than 102 MiB of the pool "
  "were free, or once it held more than its target for 300 s." },
{ make_dimm,
  "'web-1' holds 800 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "It holds 320 MiB more than its target: memory nobody needs stays where it is.\n"
  "Last, at 11:50:00 it was asked to take a DIMM of 300 MiB, as it held less than its "
  "demand and a safety margin.\n"
  "In the same minute 'web-3' was asked for 256 MiB and 'db' was offered 64 MiB.\n"
  "It would grow if its demand rose above 454 MiB.\n"
  "It would shrink if another guest lacked memory, if less than 102 MiB of the pool "
  "were free, or once it held more than its target for 300 s." },
{ make_growing,
  "'web-1' holds 410 MiB and is being given memory up to 480 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "That will be enough: it is given more once half its buffer is gone, below 440 MiB.\n"
  "Last, between 11:50:00 and 11:51:05 it was asked in 12 small steps to grow from 410 "
  "MiB to 480 MiB, as more than half its buffer was gone.\n"
  "About that time 'a' was asked for 40 MiB, 'b' was asked for 20 MiB, 'c' was offered "
  "10 MiB, 'd' was asked for 3 MiB, and 2 more guests were asked to change, too.\n"
  "It would grow if its demand rose above 454 MiB.\n"
  "It would shrink if another guest lacked memory, though not below 256 MiB." },
{ make_waiting,
  "'web-1' holds 280 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "The host's pool of 900 MiB does not hold every guest's target.\n"
  "Priority 50 brings it 300 MiB of the pool: 256 MiB that it is guaranteed, 44 MiB "
  "towards its demand and nothing for its buffer.\n"
  "It waits for 20 MiB more: 8 MiB of the host's memory can be handed out now.\n"
  "dynmem has not changed it since 11:59:00.\n"
  "With a priority of at least 73 instead of 50 its share would be 400 MiB: what its "
  "demand takes.\n"
  "'web-3' holds 300 MiB more than its own target: what it gives back of that can go "
  "to 'web-1'.\n"
  "Of the others 'd b\\x1b' lacks most: 64 MiB of its demand.\n"
  "It would shrink if another guest lacked memory, though not below 256 MiB." },
{ make_shared,
  "'web-1' holds 300 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "The host's pool of 900 MiB does not hold every guest's target.\n"
  "Priority 50 brings it 300 MiB of the pool: 256 MiB that it is guaranteed, 44 MiB "
  "towards its demand and nothing for its buffer.\n"
  "It holds its share.\n"
  "dynmem has not changed it since 11:00:00.\n"
  "No priority would make its share 400 MiB, what its demand takes: with 100 instead "
  "of 50 it would be 350 MiB.\n"
  "Of the others 'd b\\x1b' lacks most: 64 MiB of its demand.\n"
  "It would not shrink: it holds no more than its minimum or what it needs to stay "
  "alive, 300 MiB." },
{ make_below_share,
  "'web-1' holds 445 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "The host's pool of 900 MiB does not hold every guest's target.\n"
  "Priority 50 brings it 460 MiB of the pool: 256 MiB that it is guaranteed, 144 MiB "
  "towards its demand and 60 MiB for its buffer.\n"
  "It holds its demand but less than 80 % of its buffer of 20 %, so its status is "
  "'low'.\n"
  "It holds 15 MiB less than its share, as it does not need that yet: it is given more "
  "once half its buffer is gone, below 440 MiB.\n"
  "dynmem has not changed it since 11:00:00.\n"
  "With a priority of at least 73 instead of 50 its share would be 480 MiB: its "
  "target.\n"
  "Of the others 'd b\\x1b' lacks most: 64 MiB of its demand.\n"
  "It would shrink if another guest lacked memory, though not below 256 MiB." },
{ make_above_share,
  "'web-1' holds 500 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "The host's pool of 900 MiB does not hold every guest's target.\n"
  "Priority 50 brings it 460 MiB of the pool: 256 MiB that it is guaranteed, 144 MiB "
  "towards its demand and 60 MiB for its buffer.\n"
  "It holds 20 MiB more than its target, and can be asked for that as others lack "
  "memory.\n"
  "dynmem has not changed it since 11:00:00.\n"
  "No priority would make its share 480 MiB, its target: with 100 instead of 50 it "
  "would be 470 MiB.\n"
  "Of the others 'd b\\x1b' lacks most: 64 MiB of its demand.\n"
  "It would shrink if another guest lacked memory, or if less than 102 MiB of the pool "
  "were free." },
{ make_observed_above,
  "'web-1' holds 500 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "The host's pool of 900 MiB does not hold every guest's target.\n"
  "Priority 50 brings it 460 MiB of the pool: 256 MiB that it is guaranteed, 144 MiB "
  "towards its demand and 60 MiB for its buffer.\n"
  "It holds 20 MiB more than its target.\n"
  "Nothing of this is done: it is only observed.\n"
  "dynmem has not changed it since 11:00:00.\n"
  "No priority would make its share 480 MiB, its target: with 100 instead of 50 it "
  "would be 470 MiB.\n"
  "Of the others 'd b\\x1b' lacks most: 64 MiB of its demand.\n"
  "In mode 'on' it would shrink if another guest lacked memory, or if less than 102 "
  "MiB of the pool were free." },
{ make_nearly,
  "'web-1' holds 298 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "The host's pool of 900 MiB does not hold every guest's target.\n"
  "Priority 50 brings it 300 MiB of the pool: 256 MiB that it is guaranteed, 44 MiB "
  "towards its demand and nothing for its buffer.\n"
  "It holds less than its demand, so its status is 'warning'.\n"
  "It lacks 2 MiB of its share, which is not worth a resize yet.\n"
  "dynmem has not changed it since 11:00:00.\n"
  "With a priority of at least 73 instead of 50 its share would be 400 MiB: what its "
  "demand takes.\n"
  "Of the others 'd b\\x1b' lacks most: 64 MiB of its demand.\n"
  "It would shrink if another guest lacked memory, though not below 256 MiB." },
{ make_a_little_above,
  "'web-1' holds 308 MiB.\n"
  "Its demand is taken to be at least 400 MiB for a while, as it faults in what it "
  "just dropped, but its target goes by 410 MiB, as it was more of late; with a buffer "
  "of 82 MiB (20 %) its target is 492 MiB.\n"
  "The host's pool of 900 MiB does not hold every guest's target.\n"
  "Priority 50 brings it 300 MiB of the pool: 256 MiB that it is guaranteed, 44 MiB "
  "towards its demand and nothing for its buffer.\n"
  "It holds 8 MiB more than its share, which is not worth a resize.\n"
  "dynmem has not changed it since 11:00:00.\n"
  "With a priority of at least 73 instead of 50 its share would be 400 MiB: what its "
  "demand takes.\n"
  "Of the others 'd b\\x1b' lacks most: 64 MiB of its demand.\n"
  "It would shrink if another guest lacked memory, though not below 256 MiB." },
{ make_low,
  "'web-1' holds 450 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "It holds its demand but less than 80 % of its buffer of 20 %, so its status is "
  "'low'.\n"
  "It has run out of memory: its kernel has killed processes for lack of it, 3 since "
  "dynmemd was started.\n"
  "Taking memory has done it harm and was undone, 2 times since dynmemd was started.\n"
  "It gets no more for now: it is given more once half its buffer is gone, below 440 "
  "MiB.\n"
  "dynmem has not changed it since 11:00:00.\n"
  "It would grow if its demand rose above 454 MiB.\n"
  "It would shrink if another guest lacked memory, though not below 256 MiB." },
{ make_short_minima,
  "'web-1' holds 400 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "The host's pool of 900 MiB does not even hold what guests are guaranteed: 100 MiB "
  "are missing.\n"
  "Priority 100 brings it 300 MiB of the pool: 256 MiB that it is guaranteed, 44 MiB "
  "towards its demand and nothing for its buffer.\n"
  "It holds 100 MiB more than its share, and can be asked for that as others lack "
  "memory.\n"
  "dynmem has not changed it since 11:00:00.\n"
  "It has the highest priority; only a larger pool or less demand elsewhere would make "
  "its share larger.\n"
  "Of the others 'd b\\x1b' lacks most: 64 MiB of its demand.\n"
  "It would shrink if another guest lacked memory, though not below 256 MiB." },
{ make_full,
  "'web-1' holds 1024 MiB.\n"
  "Its demand is taken to be at least 1100 MiB for a while, as it reads back what it "
  "swapped out; with a safety margin of 64 MiB that makes 1164 MiB, so its target is "
  "the most it can have: 1024 MiB.\n"
  "That is all it can have.\n"
  "dynmem has not changed it since 11:00:00.\n"
  "It cannot grow: it is at its maximum of 1024 MiB; a higher one would let it.\n"
  "It would shrink if another guest lacked memory, though not below 256 MiB." },
{ make_domain_full,
  "'web-1' holds 1024 MiB.\n"
  "Its demand is taken to be at least 1100 MiB for a while, as it reads back what it "
  "swapped out; by its own figures it is 1000 MiB; with a buffer of 200 MiB (20 %) "
  "that makes 1200 MiB, so its target is the most it can have: 1024 MiB.\n"
  "That is all it can have.\n"
  "dynmem has not changed it since 11:00:00.\n"
  "It cannot grow: it has all the memory of its domain, 1024 MiB; more <memory> there "
  "would let it, at its next start.\n"
  "It would shrink if another guest lacked memory, though not below 256 MiB." },
{ make_small,
  "'web-1' holds 256 MiB.\n"
  "Its demand is 100 MiB; with a buffer of 20 MiB (20 %) that makes 120 MiB, less than "
  "its minimum, so its target is the minimum: 256 MiB.\n"
  "That is enough.\n"
  "dynmem has not changed it since 11:00:00.\n"
  "It would grow if its demand rose above 212 MiB.\n"
  "It would not shrink: it holds no more than its minimum or what it needs to stay "
  "alive, 256 MiB." },
{ make_generous,
  "'web-1' holds 600 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (the host's BufferFloor, which is "
  "more than its 20 %) its target is 480 MiB.\n"
  "It holds 120 MiB more than its target, and can be asked for that as others lack "
  "memory.\n"
  "dynmem has not changed it since 11:00:00.\n"
  "It would grow if its demand rose above 454 MiB.\n"
  "It would shrink if another guest lacked memory, or if less than 102 MiB of the pool "
  "were free." },
{ make_rising,
  "'web-1' holds 680 MiB.\n"
  "Its demand is 400 MiB, but its target goes by 450 MiB, as it was more of late; with "
  "a buffer of 200 MiB (what its demand rises by at times, which is more than its 20 "
  "%) and 30 MiB ahead of a further rise, its target is 680 MiB.\n"
  "That is enough: it is given more once half its buffer is gone, below 440 MiB.\n"
  "dynmem has not changed it since 11:00:00.\n"
  "It would grow if its demand rose above 454 MiB.\n"
  "It would shrink if another guest lacked memory, though not below 256 MiB." },
{ make_harmed,
  "'web-1' holds 490 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) that makes 480 MiB.\n"
  "It is left 490 MiB for a while, as taking memory did it harm, so its target is 490 "
  "MiB.\n"
  "That is enough: it is given more once half its buffer is gone, below 440 MiB.\n"
  "dynmem has not changed it since 11:00:00.\n"
  "It would grow if its demand rose above 454 MiB.\n"
  "It would shrink if another guest lacked memory, though not below 256 MiB." },
{ make_cached,
  "'web-1' holds 490 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) that makes 480 MiB.\n"
  "It is left 490 MiB for its page cache, so its target is 490 MiB.\n"
  "That is enough: it is given more once half its buffer is gone, below 440 MiB.\n"
  "dynmem has not changed it since 11:00:00.\n"
  "It would grow if its demand rose above 454 MiB.\n"
  "It would shrink if another guest lacked memory, though not below 256 MiB." },
{ make_observed,
  "'web-1' holds 410 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "In mode 'on' it would be given 70 MiB more.\n"
  "Nothing of this is done: it is only observed.\n"
  "Last, at 11:50:00 it would have been asked to shrink from 800 MiB to 480 MiB, as it "
  "had held idle memory for long; nothing was sent, as it was only observed or dynmem "
  "was paused.\n"
  "In mode 'on' it would grow if its demand rose above 454 MiB.\n"
  "In mode 'on' it would shrink if another guest lacked memory, though not below 256 "
  "MiB." },
{ make_paused,
  "'web-1' holds 800 MiB and has been asked to give memory back, down to 480 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "That is enough: it is given more once half its buffer is gone, below 440 MiB.\n"
  "libvirt does not answer: these are the numbers of the last cycle.\n"
  "Nothing of this is done while dynmem is paused.\n"
  "dynmem has not changed it since 11:00:00.\n"
  "Once dynmem is resumed it would grow if its demand rose above 454 MiB.\n"
  "Once dynmem is resumed it would shrink if another guest lacked memory, or if less "
  "than 102 MiB of the pool were free." },
{ make_off,
  "'web-1' is not running: it holds nothing.\n"
  "Once started it has at least 512 MiB (startup), and later between 256 MiB (minimum) "
  "and 1024 MiB (maximum)." },
{ make_off_unmanaged,
  "'web-1' is not running: it holds nothing.\n"
  "It is not managed: dynmem will leave it alone when it starts." },
{ make_no_policy,
  "'web-1' is not managed: no policy.\n"
  "dynmem leaves it alone; it holds 490 MiB.\n"
  "'dynmem enable' would have it managed." },
{ make_bad_policy,
  "'web-1' is not managed: bad policy (minimum exceeds maximum).\n"
  "dynmem leaves it alone; it holds 490 MiB.\n"
  "It would be managed once its policy is corrected." },
{ make_obstacle,
  "'web-1' is not managed: hugepages: QEMU gives back only whole huge pages.\n"
  "dynmem leaves it alone; it holds 490 MiB.\n"
  "Only another configuration of the domain would change that." },
{ make_mode_off,
  "'web-1' is not managed: mode off.\n"
  "dynmem leaves it alone; it holds 490 MiB.\n"
  "'dynmem enable' would have it managed again." },
{ make_stuck,
  "'web-1' holds 490 MiB, and nothing is done to it now: stuck: asked and not moving; "
  "left alone for 20 s more.\n"
  "The last it told was a demand of 400 MiB, which makes a target of 480 MiB.\n"
  "Last, at 11:50:00 it was to be asked to shrink from 500 MiB to 300 MiB, as others "
  "needed memory and the pool had none left, but libvirt did not answer in time.\n"
  "It is asked again when the time named above is over." },
{ make_refused,
  "'web-1' holds 490 MiB, and nothing is done to it now: frozen: libvirt refused the "
  "last request: out of luck.\n"
  "The last it told was a demand of 400 MiB, which makes a target of 480 MiB.\n"
  "dynmem has not changed it since 11:00:00.\n"
  "It is balanced again as soon as requests can be sent to it." },
{ make_withdrawn,
  "'web-1' holds 490 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "That is enough: it is given more once half its buffer is gone, below 440 MiB.\n"
  "Last, at 11:50:00 it was asked to stay at 490 MiB, as it had not done what it was "
  "asked before.\n"
  "It would grow if its demand rose above 454 MiB.\n"
  "It would shrink if another guest lacked memory, though not below 256 MiB." },
{ make_kept,
  "'web-1' holds 490 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "That is enough: it is given more once half its buffer is gone, below 440 MiB.\n"
  "Last, at 11:50:00 it was asked to keep 500 MiB of 600 MiB, more than it was asked "
  "to before, as it was to hold less than its demand and a safety margin.\n"
  "It would grow if its demand rose above 454 MiB.\n"
  "It would shrink if another guest lacked memory, though not below 256 MiB." },
{ make_kept_all,
  "'web-1' holds 490 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "That is enough: it is given more once half its buffer is gone, below 440 MiB.\n"
  "Last, at 11:50:00 it was asked to keep 490 MiB, as more than half its buffer was to "
  "go.\n"
  "It would grow if its demand rose above 454 MiB.\n"
  "It would shrink if another guest lacked memory, though not below 256 MiB." },
{ make_held_back,
  "'web-1' holds 490 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "That is enough: it is given more once half its buffer is gone, below 440 MiB.\n"
  "Last, at 11:50:00 it was asked to grow from 400 MiB only to 490 MiB, less than it "
  "was asked to before, as others needed memory and the pool had none left.\n"
  "It would grow if its demand rose above 454 MiB.\n"
  "It would shrink if another guest lacked memory, though not below 256 MiB." },
{ make_restarted,
  "'web-1' holds 490 MiB.\n"
  "Its demand is 400 MiB; with a buffer of 80 MiB (20 %) its target is 480 MiB.\n"
  "That is enough: it is given more once half its buffer is gone, below 440 MiB.\n"
  "Last, at 11:50:00 it was asked to hold 512 MiB, as it had restarted: that is safe "
  "until its balloon driver is back.\n"
  "It would grow if its demand rose above 454 MiB.\n"
  "It would shrink if another guest lacked memory, though not below 256 MiB." },
{ make_no_stats,
  "'web-1' holds 490 MiB, and nothing is done to it now: no statistics yet.\n"
  "It would be balanced if its balloon driver sent memory statistics; Windows needs "
  "the balloon service for that." },
{ make_past,
  "The last decision about 'web-1' until 12:00:00:\n"
  "At 11:50:00 it was asked to shrink from 480 MiB to 400 MiB, as others needed memory "
  "and the pool had none left.\n"
  "Then its demand was 400 MiB and its target 480 MiB; 64 MiB of the pool of 4096 MiB "
  "could be handed out, and the guests' targets exceeded the pool.\n"
  "In the same minute 'db' was offered 80 MiB.\n"
  "Next, at 12:01:00 it was asked to grow from 400 MiB to 480 MiB, as it held less "
  "than its demand and a safety margin." },
{ make_past_middle,
  "The last decision about 'web-1' until 12:00:00:\n"
  "Between 11:59:50 and 12:00:26 it was asked in 30 small steps to grow from 470 MiB "
  "to 480 MiB, as more than half its buffer was gone.\n"
  "At the last of them, which came later than that time, its demand was 400 MiB and "
  "its target 480 MiB; 64 MiB of the pool of 4096 MiB could be handed out.\n"
  "Nothing was decided about it after that.\n"
  "Now it holds 480 MiB." },
{ make_past_refused,
  "The last decision about 'web-1' until 12:00:00:\n"
  "Between 11:50:00 and 11:50:09 it was to be asked (7 times) to grow from 400 MiB to "
  "480 MiB, as it held less than its demand and a safety margin, but the host had no "
  "room for it any more.\n"
  "At the last of them its demand was 400 MiB and its target 480 MiB; 64 MiB of the "
  "pool of 4096 MiB could be handed out.\n"
  "dynmemd was started at 11:59:55; what happened before it is not known.\n"
  "Nothing was decided about it after that.\n"
  "Now it holds 490 MiB." },
{ make_past_state,
  "From 11:00:00 to 12:00:00 dynmem asked nothing of 'web-1'.\n"
  "From 11:59:30 on it was left alone for a while, as it did not do what it was asked; "
  "it held 512 MiB and its demand was 400 MiB.\n"
  "Next, at 12:00:30 its state changed 9 times: at the end it was balanced, and held "
  "less than its demand." },
{ make_past_off,
  "From 11:00:00 to 12:00:00 dynmem asked nothing of 'web-1'.\n"
  "Nothing was decided about it after that.\n"
  "Now it is not running." },
{ make_past_unmanaged,
  "From 11:00:00 to 12:00:00 dynmem asked nothing of 'web-1'.\n"
  "Nothing was decided about it after that.\n"
  "Now it is not managed and holds 490 MiB." },
{ make_past_gone,
  "The last decision about 'web-1' until 12:00:00:\n"
  "At 11:50:00 it was asked to shrink from 480 MiB to 400 MiB, as others needed memory "
  "and the pool had none left.\n"
  "Then its demand was 400 MiB and its target 480 MiB; 64 MiB of the pool of 4096 MiB "
  "could be handed out, and the guests' targets exceeded the pool.\n"
  "In the same minute 'db' was offered 80 MiB.\n"
  "Nothing was decided about it after that.\n"
  "There is no such domain any more." },
