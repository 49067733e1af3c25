(** The mean of models, NegMerge and RAM: in any order, and by any tree of tallies. *)

From Coq Require Import ZArith List Bool Lia Permutation.
From MergeAlgebra.Definitions Require Import Ties Counting.
From MergeAlgebra.Lemmas Require TiesSums.
Import ListNotations.
Open Scope Z_scope.

(** * Any order *)

Lemma filter_permutation {A} (p : A -> bool) xs ys : Permutation xs ys -> Permutation (filter p xs) (filter p ys).
Proof.
  induction 1 as [|x xs ys _ IH|x y xs|xs ys zs _ IH _ IH']; cbn; [constructor| | |now transitivity (filter p ys)].
  - destruct (p x); [now constructor|exact IH].
  - destruct (p x), (p y); try reflexivity. apply perm_swap.
Qed.

Lemma totals_permutation xs ys : Permutation xs ys ->
  total_value xs = total_value ys /\ total_coefficient xs = total_coefficient ys.
Proof. intros [mean _]%TiesSums.sums_permutation. now injection mean. Qed.

Lemma linear_permutation xs ys : Permutation xs ys -> linear_sums xs = linear_sums ys.
Proof. intros [mean _]%TiesSums.sums_permutation. unfold linear_sums. now rewrite mean. Qed.

Lemma all_have_permutation sign xs ys : Permutation xs ys -> all_have sign xs = all_have sign ys.
Proof.
  unfold all_have. induction 1 as [|x xs ys _ IH|x y xs|xs ys zs _ IH _ IH']; cbn; [reflexivity| | |congruence].
  - now rewrite IH.
  - rewrite !andb_assoc. f_equal. apply andb_comm.
Qed.

Lemma negmerge_permutation xs ys : Permutation xs ys -> negmerge_sums xs = negmerge_sums ys.
Proof.
  intros perm. assert (held : Permutation (holders xs) (holders ys)) by now apply filter_permutation.
  unfold negmerge_sums. destruct (totals_permutation _ _ held) as [-> ->].
  now rewrite !(fun sign => all_have_permutation sign _ _ held).
Qed.

Lemma ram_permutation xs ys : Permutation xs ys -> ram_sums xs = ram_sums ys.
Proof.
  intros perm. unfold ram_sums, changes. destruct (totals_permutation _ _ perm) as [-> _].
  now rewrite (Permutation_length (filter_permutation _ _ _ perm)).
Qed.

(** * Tallies *)

Lemma tally_eq a b : S a = S b -> W a = W b -> up a = up b -> down a = down b -> held a = held b -> a = b.
Proof. destruct a, b. cbn. congruence. Qed.

Ltac fields := apply tally_eq; cbn; lia.

Lemma tallies_are_a_monoid : (forall a b, combine a b = combine b a)
  /\ (forall a b c, combine a (combine b c) = combine (combine a b) c)
  /\ forall a, combine nothing a = a.
Proof. repeat split; intros; fields. Qed.

Definition count (p : vote -> bool) (votes : list vote) : Z := Z.of_nat (length (filter p votes)).

Lemma count_app p xs ys : count p (xs ++ ys) = count p xs + count p ys.
Proof. unfold count. rewrite filter_app, app_length. lia. Qed.

Lemma total_app xs ys : total_value (xs ++ ys) = total_value xs + total_value ys
  /\ total_coefficient (xs ++ ys) = total_coefficient xs + total_coefficient ys.
Proof.
  induction xs as [|x xs [IHv IHc]]; [now split|]. cbn [app].
  rewrite !TiesSums.total_value_cons, !TiesSums.total_coefficient_cons. lia.
Qed.

Lemma tally_of_leaves t : evaluate t =
  Tally (total_value (leaves t)) (total_coefficient (leaves t)) (count (fun x => 0 <? value x) (leaves t))
    (count (fun x => value x <? 0) (leaves t)) (count (fun x => 0 <? coefficient x) (leaves t)).
Proof.
  induction t as [x|a IHa b IHb]; cbn [evaluate leaves].
  - unfold lift, count. cbn [filter].
    apply tally_eq; cbn [S W up down held]; try (cbn; lia);
      match goal with |- context [if ?c then _ else _] => destruct c end; reflexivity.
  - rewrite IHa, IHb. destruct (total_app (leaves a) (leaves b)) as [v c].
    apply tally_eq; cbn [S W up down held combine]; rewrite ?count_app, ?v, ?c; reflexivity.
Qed.

Lemma changes_are votes : changes votes = count (fun x => 0 <? value x) votes + count (fun x => value x <? 0) votes.
Proof.
  unfold changes, count. induction votes as [|[v c] votes IH]; [reflexivity|]. cbn [filter value fst].
  destruct (Z.eqb_spec v 0), (Z.ltb_spec 0 v), (Z.ltb_spec v 0); cbn [negb length]; lia.
Qed.

(** All have a sign where as many have it as there are. *)
Lemma counted_all sign votes : sign <> 0 -> weighed votes ->
  count (fun x => Z.sgn (value x) =? sign) votes <= count (fun x => 0 <? coefficient x) votes
  /\ (count (fun x => Z.sgn (value x) =? sign) votes =? count (fun x => 0 <? coefficient x) votes)
     = all_have sign (holders votes).
Proof.
  intros some. unfold holders, all_have, count.
  induction 1 as [|[v c] votes this _ [IHle IH]]; [now split|]. cbn [filter value coefficient fst snd] in *.
  destruct this as [positive|[= -> ->]].
  - cbn [coefficient snd] in positive. rewrite (proj2 (Z.ltb_lt 0 c) positive). cbn [forallb value fst length].
    destruct (Z.eqb_spec (Z.sgn v) sign) as [is|is]; cbn [length andb].
    + split; [lia|]. rewrite <- IH. apply eq_true_iff_eq. rewrite !Z.eqb_eq. lia.
    + split; [lia|]. apply Z.eqb_neq. lia.
  - destruct sign; [contradiction| |]; now split.
Qed.

Lemma holders_total votes : weighed votes ->
  total_value (holders votes) = total_value votes /\ total_coefficient (holders votes) = total_coefficient votes.
Proof.
  unfold holders. induction 1 as [|[v c] votes this _ [IHv IHc]]; [now split|]. cbn [filter coefficient snd].
  destruct this as [positive|[= -> ->]].
  - cbn [coefficient snd] in positive. rewrite (proj2 (Z.ltb_lt 0 c) positive).
    rewrite !TiesSums.total_value_cons, !TiesSums.total_coefficient_cons. lia.
  - cbn [Z.ltb Z.compare]. rewrite TiesSums.total_value_cons, TiesSums.total_coefficient_cons. cbn. lia.
Qed.

Lemma signs_are_counted votes :
  count (fun x => 0 <? value x) votes = count (fun x => Z.sgn (value x) =? 1) votes
  /\ count (fun x => value x <? 0) votes = count (fun x => Z.sgn (value x) =? -1) votes.
Proof. split; unfold count; do 2 f_equal; apply filter_ext; intros [[|v|v] c]; reflexivity. Qed.

Lemma by_any_tree t votes : Permutation (leaves t) votes ->
  linear (evaluate t) = linear_sums votes
  /\ ram (evaluate t) = ram_sums votes
  /\ (weighed votes -> negmerge (evaluate t) = negmerge_sums votes).
Proof.
  intros perm. repeat split.
  - rewrite <- (linear_permutation _ _ perm), tally_of_leaves. reflexivity.
  - rewrite <- (ram_permutation _ _ perm), tally_of_leaves. unfold ram, ram_sums. cbn. now rewrite changes_are.
  - intros all. rewrite <- (negmerge_permutation _ _ perm), tally_of_leaves.
    assert (weighed (leaves t)) as weights
      by (unfold weighed in *; rewrite Forall_forall in *; intros x member; apply all; now apply (Permutation_in x perm)).
    unfold negmerge, negmerge_sums. cbn [S W up down held].
    destruct (signs_are_counted (leaves t)) as [-> ->]. destruct (holders_total _ weights) as [-> ->].
    now rewrite (proj2 (counted_all 1 _ ltac:(easy) weights)), (proj2 (counted_all (-1) _ ltac:(easy) weights)).
Qed.
