(** What is claimed of the operation set. [w] is any workspace, [op] whatever an operation is: the laws
    of join hold in open and in signed workspaces. The words are those of definitions/OperationSet.v. *)

From Coq Require Import List Sorting.Sorted.
From MergeAlgebra.Definitions Require Import OperationSet.
From MergeAlgebra.Lemmas Require Joins Visibility Model.
Import ListNotations.

(** ** Join *)

(** Join is commutative. [OS-7] *)
Theorem join_commutative : forall op (a b : state_over op), same (join a b) (join b a).
Proof. exact @Joins.join_commutative. Qed.

(** Join is associative. [OS-7] *)
Theorem join_associative : forall op (a b c : state_over op), same (join (join a b) c) (join a (join b c)).
Proof. exact @Joins.join_associative. Qed.

(** Join is idempotent. [OS-7] *)
Theorem join_idempotent : forall op (a : state_over op), same (join a a) a.
Proof. exact @Joins.join_idempotent. Qed.

(** Equality of states is an equivalence that join respects. [OS-7] *)
Theorem same_is_an_equality : forall op,
  (forall a : state_over op, same a a) /\ (forall a b : state_over op, same a b -> same b a)
  /\ (forall a b c : state_over op, same a b -> same b c -> same a c)
  /\ forall a b c d : state_over op, same a b -> same c d -> same (join a c) (join b d).
Proof. exact @Joins.same_is_an_equality. Qed.

(** States are ordered by what they hold. [OS-7] *)
Theorem within_is_an_order : forall op,
  (forall a : state_over op, within a a) /\ (forall a b c : state_over op, within a b -> within b c -> within a c)
  /\ forall a b : state_over op, within a b -> within b a -> same a b.
Proof. exact @Joins.within_is_an_order. Qed.

(** In that order, join is the least state above both. [OS-7] *)
Theorem join_least_upper_bound : forall op (a b c : state_over op),
  within a (join a b) /\ within b (join a b) /\ (within a c -> within b c -> within (join a b) c).
Proof. exact @Joins.join_least_upper_bound. Qed.

(** Join is monotone on both sides. [OS-7] *)
Theorem join_monotone : forall op (a b c d : state_over op), within a b -> within c d -> within (join a c) (join b d).
Proof. exact @Joins.join_monotone. Qed.

(** A command joins a delta to the state, whichever it is, and that takes nothing away. [OS-7] *)
Theorem join_inflationary : forall op (a delta : state_over op), within a (join a delta).
Proof. exact @Joins.join_inflationary. Qed.

(** The delta that sync carries, the operations whose ids the peer lacks, does what the whole state would do. [OS-7,
    SY-4] *)
Theorem delta_joins_like_the_state : forall w (a b : state w),
  collision_free (join a b) -> same (join b (difference a b)) (join b a).
Proof. exact @Joins.sync_gives_the_union. Qed.

(** A sync that was cut off anywhere and is repeated ends where one sync would have ended. [SY-4, SY-8] *)
Theorem cut_off_and_repeated : forall op (a b part : state_over op),
  within part b -> same (join (join a part) b) (join a b).
Proof. exact @Joins.cut_off_and_repeated. Qed.

(** Neither the order in which parts arrive, nor how often, nor how they were cut changes the state. [OS-7] *)
Theorem deliveries_are_a_set : forall op (parts others : list (state_over op)) (a : state_over op),
  same (concat parts) (concat others) -> same (fold_left join parts a) (fold_left join others a).
Proof. exact @Joins.deliveries_are_a_set. Qed.

(** ** What is visible *)

(** A contribution is visible exactly when some add of it, for the workspace's base, is named by no remove. [OS-8, OS-9]
    *)
Theorem visible_iff : forall w (s : state w) (c : id w),
  In c (visible s) <->
  exists m n r, In (Add m n r) s /\ contribution_id m = c /\ base_of m = base w
    /\ forall named said, In (Remove named said) s -> ~ In (operation_id (Add m n r)) named.
Proof. exact @Visibility.visible_iff. Qed.

(** The list of visible contributions is ascending, each once. [OS-11, MG-10] *)
Theorem visible_ascends : forall w (s : state w), StronglySorted (fun x y => precedes x y = true /\ x <> y) (visible s).
Proof. exact @Visibility.visible_ascends. Qed.

(** Strong convergence: the same set of operations gives the same list of visible contributions. [OS-7, OS-9] *)
Theorem same_set_same_visible : forall w (a b : state w), same a b -> visible a = visible b.
Proof. exact @Visibility.visible_respects_same. Qed.

(** Strong convergence: the same set of operations gives the same input of the merge id. [OS-11, MG-10] *)
Theorem same_set_same_merge_input : forall w (a b : state w), same a b -> merge_input a = merge_input b.
Proof. exact @Visibility.merge_input_respects_same. Qed.

(** Whatever is a function of the visible contributions, such as a resolved model, agrees wherever the operations agree.
    [OS-7, OS-11] *)
Theorem any_function_agrees : forall w (A : Type) (f : state w -> A),
  (forall a b, visible a = visible b -> f a = f b) -> forall a b, same a b -> f a = f b.
Proof. exact @Visibility.any_function_agrees. Qed.

(** Unless the hash of two merges collides, equal merge ids mean equal visible contributions, and the other way round.
    [OS-11, MG-10] *)
Theorem merge_ids_tell : forall w (digest : Type) (hash : id w * id w * list (id w) -> digest) (a b : state w),
  (hash (merge_input a) = hash (merge_input b) -> merge_input a = merge_input b) ->
  hash (merge_input a) = hash (merge_input b) <-> visible a = visible b.
Proof. exact @Visibility.merge_ids_tell. Qed.

(** What is visible is the manifest of some standing add. [OS-9] *)
Theorem visible_has_a_manifest : forall w (s : state w) (c : id w),
  In c (visible s) <-> exists m, shows s m /\ contribution_id m = c.
Proof. exact @Visibility.shows_iff_visible. Qed.

(** Unless two manifests collide, one contribution id means one manifest in every state. [CT-3, OS-9] *)
Theorem one_id_one_manifest : forall w (a b : state w) (m m' : manifest w),
  manifests_told_apart (join a b) -> shows a m -> shows b m' -> contribution_id m = contribution_id m' -> m = m'.
Proof. exact @Visibility.one_id_one_manifest. Qed.

(** ** Adding, removing, attesting *)

(** An add for the workspace's base is visible at once, unless a remove already names it. [OS-8, OS-9] *)
Theorem add_is_visible : forall w (s : state w) m n r,
  base_of m = base w ->
  (forall named said, In (Remove named said) s -> ~ In (operation_id (Add m n r)) named) ->
  In (contribution_id m) (visible (join s [Add m n r])).
Proof. exact @Visibility.fresh_add_is_visible. Qed.

(** An add for another base changes nothing that is visible. [OS-8] *)
Theorem foreign_add_changes_nothing : forall w (s : state w) m n r,
  base_of m <> base w -> visible (join s [Add m n r]) = visible s.
Proof. exact @Visibility.foreign_add_changes_nothing. Qed.

(** A remove acts on the adds that it names and on nothing else. [OS-9] *)
Theorem remove_acts_on_what_it_names : forall w (s : state w) named said (o : operation w),
  In o (standing (join s [Remove named said])) <-> In o (standing s) /\ ~ In (operation_id o) named.
Proof. exact @Visibility.remove_acts_on_what_it_names. Qed.

(** A remove that arrives before its add works: the add stands in no state that holds the remove. [OS-9] *)
Theorem remove_works_before_its_add : forall w (s t : state w) named said (o : operation w),
  In (Remove named said) s -> In (operation_id o) named -> within s t -> ~ In o (standing t).
Proof. exact @Visibility.remove_works_before_its_add. Qed.

(** Retracting is one remove, which names every standing add of the contribution and no other operation. [OS-10] *)
Theorem retract_names_what_stands : forall w (s : state w) c r o, retract s c r = Some o ->
  exists named, o = Remove named r /\ named <> [] /\
    forall i, In i named <->
      exists m n said, In (Add m n said) (standing s) /\ contribution_id m = c /\ operation_id (Add m n said) = i.
Proof. exact @Visibility.retract_names_what_stands. Qed.

(** Retracting is an error exactly when the contribution is not visible. [OS-10] *)
Theorem retract_needs_visible : forall w (s : state w) c r, retract s c r = None <-> ~ In c (visible s).
Proof. exact @Visibility.retract_needs_visible. Qed.

(** Unless operations collide, retracting takes back that contribution and leaves every other one. [OS-9, OS-10] *)
Theorem retract_takes_back_that_one : forall w (s : state w) c r o, collision_free s -> retract s c r = Some o ->
  forall x, In x (visible (join s [o])) <-> In x (visible s) /\ x <> c.
Proof. exact @Visibility.retract_takes_back_that_one. Qed.

(** An add that the retracting replica did not hold wins: its contribution stays visible where both arrive. [OS-9] *)
Theorem add_wins_over_a_concurrent_remove : forall w (s t : state w) c r o m n said,
  retract s c r = Some o -> In (Add m n said) (standing t) -> ~ In (Add m n said) s ->
  collision_free (join s t) -> contribution_id m = c ->
  In c (visible (join t [o])).
Proof. exact @Visibility.add_wins_over_a_concurrent_remove. Qed.

(** An attest changes nothing that is visible. [OS-12] *)
Theorem attest_changes_nothing : forall w (s : state w) c root r, visible (join s [Attest c root r]) = visible s.
Proof. exact @Visibility.attest_changes_nothing. Qed.

(** The roots attested for a merge id are those of the attests that name it. [OS-12] *)
Theorem attested_iff : forall w (s : state w) (merge root : id w),
  In root (attestations s merge) <-> exists said, In (Attest merge root said) s.
Proof. exact @Visibility.attested_iff. Qed.

(** The same set of operations gives the same attested roots, so that all replicas notice a broken machine alike.
    [OS-12] *)
Theorem same_set_same_attestations : forall w (a b : state w) (merge : id w), same a b ->
  attestations a merge = attestations b merge.
Proof. exact @Visibility.attestations_respect_same. Qed.

(** ** The assumptions *)

(** What the claims take for granted of a hash can be met, so that they do not hold emptily. [OS-2, CT-3] *)
Theorem assumptions_can_be_met : exists w : workspace,
  (forall o p : operation w, operation_id o = operation_id p -> o = p)
  /\ (forall m n : manifest w, contribution_id m = contribution_id n -> m = n)
  /\ exists m : manifest w, base_of m = base w.
Proof. exact @Model.assumptions_can_be_met. Qed.
