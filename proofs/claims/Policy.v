(** What is claimed of who may change what. [a] is the authority of any workspace [w], signed where the claim says so;
    of its signatures and hashes nothing is taken for granted. The words are those of definitions/Policy.v: [entry] is
    an operation with who signed it, and [genuine] says that the signature is right. *)

From Coq Require Import List.
From MergeAlgebra.Definitions Require Import OperationSet Network Policy.
From MergeAlgebra.Lemmas Require Policies PolicyRulings PolicyRemoves PolicyRevoking PolicyRelays PolicyOpen
  PolicyWitnesses.
Import ListNotations.

(** ** Who counts *)

(** A maintainer's operation is one whose author stands in the genesis and whose signature is right. [SG-3, SG-4] *)
Theorem maintainers_stand_in_the_genesis : forall w (a : authority w) (e : entry a) keys, maintainers a = Some keys ->
  by_maintainer a e = true <-> exists k, author a e = Some k /\ In k keys /\ genuine a e = true.
Proof. exact @PolicyRulings.maintained_iff. Qed.

(** A grant, revoke or keep counts exactly when a maintainer signed it, whatever else there is. [SG-8] *)
Theorem maintainers_rule : forall w (a : authority w) (s : state_over (entry a)) (e : entry a),
  (forall o, action e <> Data o) -> (forall said, action e <> Later said) -> effective a s e = by_maintainer a e.
Proof. exact @PolicyRulings.rulings_count_when_maintained. Qed.

(** A maintainer's add, remove or attest counts as it would in an open workspace, whatever else there is. [SG-8,
    OS-8] *)
Theorem maintainers_need_no_grant : forall w (a : authority w) (s : state_over (entry a)) (e : entry a) o,
  by_maintainer a e = true -> action e = Data o -> effective a s e = OperationSet.effective o.
Proof. exact @PolicyRulings.maintained_data_counts. Qed.

(** A writer's add, remove or attest counts exactly when its signature is right, it names a grant that a maintainer
    made to its author, and for each revoke of that grant by a maintainer some keep by a maintainer, of that revoke,
    names the operation; and, if it is an add, when it is for the workspace's base. [SG-8, OS-8] *)
Theorem writers_need_a_grant : forall w (a : authority w) (s : state_over (entry a)) (e : entry a) o,
  is_signed a -> by_maintainer a e = false -> action e = Data o ->
  effective a s e = true <->
  OperationSet.effective o = true /\ genuine a e = true /\ exists k g, author a e = Some k /\ under e = Some g
    /\ (exists x, In x s /\ entry_id a x = g /\ grants a x k = true)
    /\ (forall r, In r s -> revokes a r g = true ->
          exists x, In x s /\ keeps a x (entry_id a r) (entry_id a e) = true).
Proof. exact @PolicyRulings.writers_count_iff. Qed.

(** What counts is admissible. [SG-8] *)
Theorem what_counts_is_admissible : forall w (a : authority w) (s : state_over (entry a)) (e : entry a),
  effective a s e = true -> admissible a s e = true.
Proof. exact @Policies.effective_is_admissible. Qed.

(** A contribution is visible exactly when some effective add of it is named by no effective remove that a maintainer
    or its own author signed. [SG-9] *)
Theorem visible_iff : forall w (a : authority w) (s : state_over (entry a)) (c : id w),
  In c (visible a s) <->
  exists e m n r, In e s /\ action e = Data (Add m n r) /\ contribution_id m = c /\ effective a s e = true
    /\ forall x named said, In x s -> action x = Data (Remove named said) -> effective a s x = true ->
         In (entry_id a e) named -> by_maintainer a x = false /\ author a e <> author a x.
Proof. exact @PolicyRemoves.visible_iff. Qed.

(** ** What does not count changes nothing *)

(** Operations that do not count, however many, change nothing that is visible and nothing that counts. [SG-8] *)
Theorem unauthorised_operations_change_nothing :
  forall w (a : authority w) (s unauthorised : state_over (entry a)),
  (forall e, In e unauthorised -> effective a (join s unauthorised) e = false) ->
  visible a (join s unauthorised) = visible a s
  /\ forall e, effective a (join s unauthorised) e = effective a s e.
Proof. exact @Policies.idle_operations_change_nothing. Qed.

(** A forged operation never counts, whatever it is. [SG-2, SG-8] *)
Theorem forgeries_never_count : forall w (a : authority w) (s : state_over (entry a)) (e : entry a),
  is_signed a -> genuine a e = false -> effective a s e = false.
Proof. exact @PolicyRulings.forgeries_never_count. Qed.

(** Nor does one that nobody signed. [SG-4, SG-8] *)
Theorem unsigned_operations_never_count : forall w (a : authority w) (s : state_over (entry a)) (e : entry a),
  is_signed a -> signed e = None -> effective a s e = false.
Proof. exact @PolicyRulings.unsigned_never_counts. Qed.

(** Nor, as long as no grant by a maintainer is to its author, one by somebody who is not a maintainer. [SG-8] *)
Theorem strangers_never_count : forall w (a : authority w) (s : state_over (entry a)) (e : entry a) k,
  is_signed a -> author a e = Some k -> maintains a k = false -> (forall x, In x s -> grants a x k = false) ->
  effective a s e = false.
Proof. exact @PolicyRulings.strangers_never_count. Qed.

(** Nor does one of a later version, by whomever. [SG-6, SG-8] *)
Theorem later_versions_never_count : forall w (a : authority w) (s : state_over (entry a)) (e : entry a) said,
  action e = Later said -> effective a s e = false.
Proof. exact @PolicyRulings.later_never_counts. Qed.

(** Nobody but a maintainer can make an operation count that did not, or one not count that did; nor one admissible or
    inadmissible. [SG-8] *)
Theorem only_maintainers_rule : forall w (a : authority w) (s : state_over (entry a)) (x : entry a),
  by_maintainer a x = false ->
  forall e, admissible a (join s [x]) e = admissible a s e /\ effective a (join s [x]) e = effective a s e.
Proof. exact @PolicyRulings.only_maintainers_rule. Qed.

(** Whatever a writer does, every add of another author stands where it stood. [SG-8, SG-9] *)
Theorem writers_touch_only_their_own : forall w (a : authority w) (s : state_over (entry a)) (x e : entry a),
  by_maintainer a x = false -> author a e <> author a x ->
  In e (standing a (join s [x])) <-> In e (standing a s).
Proof. exact @PolicyRemoves.writers_touch_only_their_own. Qed.

(** ** The same set, the same answer *)

(** The same set of operations gives the same admissible ones. [SG-8, OS-7] *)
Theorem same_set_same_admissible : forall w (a : authority w) (s t : state_over (entry a)), same s t ->
  forall e, admissible a s e = admissible a t e.
Proof. exact @Policies.same_set_same_admissible. Qed.

(** The same set of operations gives the same effective ones. [SG-8, OS-7] *)
Theorem same_set_same_effective : forall w (a : authority w) (s t : state_over (entry a)), same s t ->
  forall e, effective a s e = effective a t e.
Proof. exact @Policies.same_set_same_effective. Qed.

(** Strong convergence: the same set of operations gives the same list of visible contributions. [SG-8, SG-9, OS-7] *)
Theorem same_set_same_visible : forall w (a : authority w) (s t : state_over (entry a)), same s t ->
  visible a s = visible a t.
Proof. exact @Policies.same_set_same_visible. Qed.

(** Neither the order in which operations arrive, nor how often, nor in which parts changes what is visible. [SG-8,
    SG-9, OS-7] *)
Theorem any_order_of_arrival :
  forall w (a : authority w) (parts others : list (state_over (entry a))) (s : state_over (entry a)),
  same (concat parts) (concat others) -> visible a (fold_left join parts s) = visible a (fold_left join others s).
Proof. exact @Policies.any_order_of_arrival. Qed.

(** Two replicas that received the same set of operations show the same contributions, even in two different executions
    with loss, repetition, reordering, and strangers who make what they like. [SG-8, SG-9, OS-7] *)
Theorem same_received_same_answer :
  forall w (a : authority w) history history' (s s' : system (entry a)) i j,
  run (initial (entry a)) history s -> run (initial (entry a)) history' s' ->
  stays_up i history -> stays_up j history' ->
  same (received i history) (received j history') -> visible a (memory s i) = visible a (memory s' j).
Proof. exact @PolicyRelays.same_received_same_answer. Qed.

(** After a round in which nothing new reached them, all participants hold the same and show what their union shows.
    [SG-8, SG-9, OS-7, SY-4] *)
Theorem all_agree_after_a_quiet_round :
  forall w (a : authority w) (s : system (entry a)) participants history t,
  run s history t -> round s participants history -> quiet s participants history ->
  forall i j, In i participants -> In j participants ->
    same (memory t i) (memory t j) /\ visible a (memory t i) = visible a (pool s participants).
Proof. exact @PolicyRelays.all_agree_after_a_quiet_round. Qed.

(** ** What is relayed *)

(** To carry what is admissible, and nothing else, shows what carrying everything would show. [SG-10] *)
Theorem admissible_operations_are_enough : forall w (a : authority w) (s t : state_over (entry a)),
  visible a (join t (carried a s t)) = visible a (join s t).
Proof. exact @PolicyRelays.sync_shows_the_union. Qed.

(** After it, both sides hold the same admissible operations, which roots and ranges cover. [SG-10] *)
Theorem both_sides_hold_the_same_admissible : forall w (a : authority w) (s t : state_over (entry a)),
  let left := join s (carried a t s) in let right := join t (carried a s t) in
  same (filter (admissible a left) left) (filter (admissible a right) right).
Proof. exact @PolicyRelays.both_sides_have_the_same_admissible. Qed.

(** Replicas of which each two have synced show what all together would, however much each holds that is not admissible
    and that no other will ever see. [SG-10] *)
Theorem synced_replicas_show_their_union :
  forall w (a : authority w) (replicas : list (state_over (entry a))) (s : state_over (entry a)),
  all_synced a replicas -> In s replicas -> visible a s = visible a (concat replicas).
Proof. exact @PolicyRelays.synced_replicas_show_their_union. Qed.

(** A side that holds the other's operations by maintainers knows what is admissible in both together: so these go
    first. [SG-10] *)
Theorem maintainers_first : forall w (a : authority w) (s t : state_over (entry a)) (e : entry a),
  admissible a (join s (filter (by_maintainer a) t)) e = admissible a (join s t) e.
Proof. exact @PolicyRelays.maintainers_first. Qed.

(** ** Grants, revokes and keeps *)

(** One more grant takes nothing away from what counts. [SG-8] *)
Theorem grants_only_help : forall w (a : authority w) (s : state_over (entry a)) x to once said (e : entry a),
  action x = Grant to once said -> effective a s e = true -> effective a (join s [x]) e = true.
Proof. exact @PolicyRulings.grants_only_help. Qed.

(** Nor does one more keep. [SG-8] *)
Theorem keeps_only_help : forall w (a : authority w) (s : state_over (entry a)) x revoke kept said (e : entry a),
  action x = Keep revoke kept said -> effective a s e = true -> effective a (join s [x]) e = true.
Proof. exact @PolicyRulings.keeps_only_help. Qed.

(** One more revoke makes nothing count. [SG-8] *)
Theorem revokes_never_help : forall w (a : authority w) (s : state_over (entry a)) r named said (e : entry a),
  action r = Revoke named said -> effective a (join s [r]) e = true -> effective a s e = true.
Proof. exact @PolicyRulings.a_revoke_never_helps. Qed.

(** What a revoke is made with a keep of stays in force. [SG-8, SG-11] *)
Theorem a_kept_operation_stays :
  forall w (a : authority w) (s : state_over (entry a)) (r k : entry a) revoke kept said (e : entry a),
  by_maintainer a k = true -> action k = Keep revoke kept said -> revoke = entry_id a r -> In (entry_id a e) kept ->
  effective a s e = true -> effective a (join s [r; k]) e = true.
Proof. exact @PolicyRulings.a_kept_operation_stays. Qed.

(** What no keep of one revoke of its grant names does not count, whatever the keeps of other revokes name. [SG-8] *)
Theorem unkept_does_not_count : forall w (a : authority w) (s : state_over (entry a)) (r : entry a) g (e : entry a),
  is_signed a -> by_maintainer a e = false -> under e = Some g -> In r s -> revokes a r g = true ->
  (forall k, In k s -> keeps a k (entry_id a r) (entry_id a e) = false) ->
  effective a s e = false.
Proof. exact @PolicyRulings.unkept_does_not_count. Qed.

(** A revoke does not touch operations under grants that it does not name. [SG-8] *)
Theorem other_grants_are_untouched : forall w (a : authority w) (s : state_over (entry a)) r named said (e : entry a),
  action r = Revoke named said -> (forall g, under e = Some g -> ~ In g named) ->
  effective a (join s [r]) e = effective a s e.
Proof. exact @PolicyRulings.other_grants_are_untouched. Qed.

(** Nothing, revokes included, touches what a maintainer signed. [SG-8, SG-11] *)
Theorem maintainers_are_untouched : forall w (a : authority w) (s more : state_over (entry a)) (e : entry a),
  by_maintainer a e = true -> effective a (join s more) e = effective a s e.
Proof. exact @PolicyRulings.revokes_do_not_touch_maintainers. Qed.

(** Two keeps of one revoke are worth one that names what either names. [SG-8, SG-11] *)
Theorem keeps_add_up :
  forall w (a : authority w) (s : state_over (entry a)) (k k' both : entry a) revoke kept kept' said said' said''
    (e : entry a),
  by_maintainer a k = true -> by_maintainer a k' = true -> by_maintainer a both = true ->
  action k = Keep revoke kept said -> action k' = Keep revoke kept' said' ->
  action both = Keep revoke (kept ++ kept') said'' ->
  effective a (join s [k; k']) e = effective a (join s [both]) e.
Proof. exact @PolicyRulings.keeps_add_up. Qed.

(** A revoke with keeps of every operation here that counts under the grants that it names changes nothing that is
    visible here, unless its id collides with another's. [SG-8, SG-11] *)
Theorem a_revoke_that_keeps_all_changes_nothing :
  forall w (a : authority w) (s : state_over (entry a)) (r : entry a) (keeps_of_r : state_over (entry a)) named said,
  action r = Revoke named said -> ~ In (entry_id a r) (map (entry_id a) s) ->
  (forall k, In k keeps_of_r -> exists kept said', action k = Keep (entry_id a r) kept said') ->
  (forall e g, In e s -> effective a s e = true -> by_maintainer a e = false -> under e = Some g -> In g named ->
     exists k, In k keeps_of_r /\ keeps a k (entry_id a r) (entry_id a e) = true) ->
  visible a (join s (r :: keeps_of_r)) = visible a s.
Proof. exact @PolicyRevoking.a_revoke_that_keeps_all. Qed.

(** So revoking a key, with keeps of all that the key signed and that is held here, changes nothing that is visible
    here, unless ids collide. [SG-11] *)
Theorem revoking_a_key_changes_nothing_here :
  forall w (a : authority w) (s : state_over (entry a)) k (r : entry a) (keeps_of_r : state_over (entry a)) said,
  ids_told_apart a s -> action r = Revoke (grants_to a s k) said -> ~ In (entry_id a r) (map (entry_id a) s) ->
  (forall x, In x keeps_of_r ->
     by_maintainer a x = true /\ exists kept said', action x = Keep (entry_id a r) kept said') ->
  (forall i, In i (done_by a s k) ->
     exists x kept said', In x keeps_of_r /\ action x = Keep (entry_id a r) kept said' /\ In i kept) ->
  visible a (join s (r :: keeps_of_r)) = visible a s.
Proof. exact @PolicyRevoking.revoking_a_key. Qed.

(** ** Removes, name by name *)

(** A writer's remove hides, of the adds that it names, those of its own author and no others. [SG-9] *)
Theorem a_writers_remove_hides_own_adds :
  forall w (a : authority w) (s : state_over (entry a)) x named said (e : entry a),
  action x = Data (Remove named said) -> by_maintainer a x = false -> effective a s x = true ->
  In e (standing a (join s [x])) <->
  In e (standing a s) /\ ~ (In (entry_id a e) named /\ author a e = author a x).
Proof. exact @PolicyRemoves.a_writers_remove. Qed.

(** A maintainer's hides all adds that it names and no others. [SG-9] *)
Theorem a_maintainers_remove_hides_any_add :
  forall w (a : authority w) (s : state_over (entry a)) x named said (e : entry a),
  action x = Data (Remove named said) -> by_maintainer a x = true ->
  In e (standing a (join s [x])) <-> In e (standing a s) /\ ~ In (entry_id a e) named.
Proof. exact @PolicyRemoves.a_maintainers_remove. Qed.

(** A remove that arrives before its add works: the add stands in no state that holds the remove and in which the remove
    counts. [SG-9, OS-9] *)
Theorem removes_work_before_their_adds :
  forall w (a : authority w) (s t : state_over (entry a)) x named said (e : entry a),
  In x s -> within s t -> action x = Data (Remove named said) -> effective a t x = true ->
  In (entry_id a e) named -> by_maintainer a x = true \/ author a e = author a x -> ~ In e (standing a t).
Proof. exact @PolicyRemoves.removes_work_before_their_adds. Qed.

(** An attest changes nothing that is visible. [OS-12, SG-12] *)
Theorem attests_hide_nothing : forall w (a : authority w) (s : state_over (entry a)) x merge root said,
  action x = Data (Attest merge root said) -> visible a (join s [x]) = visible a s.
Proof. exact @PolicyRemoves.attests_hide_nothing. Qed.

(** ** Witnesses *)

(** A key that attests two roots for one merge counts for neither, nor for any other. [SG-12] *)
Theorem two_roots_count_for_neither : forall w (a : authority w) (s : state_over (entry a)) k merge root other,
  root <> other -> key_attests a s k merge root -> key_attests a s k merge other ->
  forall any, ~ counts_for a s k merge any.
Proof. exact @PolicyWitnesses.two_roots_count_for_neither. Qed.

(** What is computed as the witnesses of a root are the keys that count for it. [SG-12] *)
Theorem witnesses_are_those_that_count : forall w (a : authority w) (s : state_over (entry a)) k merge root,
  In k (witnesses a s merge root) <-> counts_for a s k merge root.
Proof. exact @PolicyWitnesses.witnesses_are_those_that_count. Qed.

(** The same set of operations gives the same witnesses of the same roots. [SG-12, OS-7] *)
Theorem same_set_same_witnesses : forall w (a : authority w) (s t : state_over (entry a)) k merge root,
  same s t -> counts_for a s k merge root <-> counts_for a t k merge root.
Proof. exact @PolicyWitnesses.same_set_same_witnesses. Qed.

(** Nobody but a maintainer changes for what another's key counts, whatever they attest. [SG-8, SG-12] *)
Theorem others_cannot_take_a_witness_away :
  forall w (a : authority w) (s : state_over (entry a)) (x : entry a) k merge root,
  by_maintainer a x = false -> author a x <> Some k ->
  counts_for a (join s [x]) k merge root <-> counts_for a s k merge root.
Proof. exact @PolicyWitnesses.others_cannot_take_a_witness_away. Qed.

(** An operation that does not count, such as a forged one in another's name, changes for no key for what it counts.
    [SG-8, SG-12] *)
Theorem forgeries_witness_nothing :
  forall w (a : authority w) (s : state_over (entry a)) (x : entry a) k merge root,
  effective a (join s [x]) x = false ->
  counts_for a (join s [x]) k merge root <-> counts_for a s k merge root.
Proof. exact @PolicyWitnesses.forgeries_witness_nothing. Qed.

(** ** Open workspaces *)

(** In an open workspace, what counts is what nobody signed and OS-8 lets count: adds, removes and attests, but for adds
    for another base. [OS-5, OS-8, SG-4] *)
Theorem in_an_open_workspace_nobody_signs : forall w (a : authority w), maintainers a = None ->
  forall (s : state_over (entry a)) (e : entry a),
  effective a s e = true <-> exists o, e = unsigned a o /\ OperationSet.effective o = true.
Proof. exact @PolicyOpen.open_effective_iff. Qed.

(** So all that OperationSet.v and its claims say holds of it: visible is what is visible there. [OS-8, OS-9] *)
Theorem an_open_workspace_is_as_before : forall w (a : authority w), maintainers a = None ->
  forall s : state_over (entry a), (forall o, entry_id a (unsigned a o) = operation_id o) ->
  visible a s = OperationSet.visible (open_part a s).
Proof. exact @PolicyOpen.open_visible. Qed.
